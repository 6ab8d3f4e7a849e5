//! The dispatcher: claims tasks while there are slots and memory for them, and records how their attempts end.
