"""The speed comparison: the operators beside what people use today, against one server, in one run."""
