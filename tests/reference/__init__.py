"""The slow reference simulator and the cases on which it is compared with the fast one."""
