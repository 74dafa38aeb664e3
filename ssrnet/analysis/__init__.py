"""Why one model fails where another does not: query by query, slice by slice, and by the labels themselves."""
