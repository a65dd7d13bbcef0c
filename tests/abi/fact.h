/* SPDX-License-Identifier: MIT */
/*
 * A fact is what one name of a header means in bytes.  table.c, compiled once
 * with our header and once with the kernel's, turns the same list of names
 * into two tables of facts, which compare.c holds side by side.
 */
#ifndef TESTS_ABI_FACT_H
#define TESTS_ABI_FACT_H

enum fact_kind {
	FACT_STRUCT,
	FACT_MEMBER,
	FACT_CONSTANT,
	FACT_KINDS,
};

/**
 * struct fact - one name
 * @kind: what it is
 * @name: as it is written, "struct x", "x.member" or "X"
 * @text: a string constant's value, else NULL
 * @value: struct: 0; member: its offset; constant: its value
 * @size: bytes (of one element, for an array without bound)
 * @align: struct only
 * @type: a letter for integers and arrays of them, 'x' otherwise
 */
struct fact {
	enum fact_kind kind;
	const char *name;
	const char *text;
	long long value;
	unsigned long size;
	unsigned long align;
	char type;
};

/* Both end with a NULL name. */
extern const struct fact facts_ours[];
extern const struct fact facts_kernel[];

#endif
