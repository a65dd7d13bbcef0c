/* SPDX-License-Identifier: MIT */
/*
 * One header's table of facts.  FACTS_HEADER is the header, FACTS_TABLE the
 * table's name, and facts.inc, written by names.py, the list of what to state:
 *
 *	FACT_struct(iommu_destroy)
 *	FACT_field(iommu_destroy, size)
 *	FACT_const(IOMMU_DESTROY)
 */
#include FACTS_HEADER

#include <stddef.h>

#include "fact.h"

/* Sign and width, which sizeof alone does not tell. */
#define TYPE_LETTER(e)                                                                  \
	_Generic((e), signed char: 'b', unsigned char: 'B', short: 'h', unsigned short: 'H', \
		int: 'i', unsigned int: 'I', long: 'l', unsigned long: 'L', long long: 'q', \
		unsigned long long: 'Q', unsigned long long *: 'P', default: 'x')

#define MEMBER(s, m) (((struct s *)0)->m)

#define FACT_struct(s)                                                                  \
	{ .kind = FACT_STRUCT, .name = "struct " #s, .size = sizeof(struct s),          \
	  .align = _Alignof(struct s), .type = 'x' },
#define FACT_enum(e)                                                                    \
	{ .kind = FACT_STRUCT, .name = "enum " #e, .size = sizeof(enum e),              \
	  .align = _Alignof(enum e), .type = TYPE_LETTER((enum e)0) },
#define FACT_field(s, m)                                                                \
	{ .kind = FACT_MEMBER, .name = #s "." #m, .value = offsetof(struct s, m),       \
	  .size = sizeof(MEMBER(s, m)), .type = TYPE_LETTER(MEMBER(s, m)) },
#define FACT_array(s, m)                                                                \
	{ .kind = FACT_MEMBER, .name = #s "." #m "[]", .value = offsetof(struct s, m),  \
	  .size = sizeof(MEMBER(s, m)), .type = TYPE_LETTER(MEMBER(s, m)[0]) },
#define FACT_flex(s, m)                                                                 \
	{ .kind = FACT_MEMBER, .name = #s "." #m "[]", .value = offsetof(struct s, m),  \
	  .size = sizeof(MEMBER(s, m)[0]), .type = TYPE_LETTER(MEMBER(s, m)[0]) },
#define FACT_const(c)                                                                   \
	{ .kind = FACT_CONSTANT, .name = #c, .value = (long long)(c), .size = sizeof(c), \
	  .type = TYPE_LETTER(c) },
#define FACT_string(c)                                                                  \
	{ .kind = FACT_CONSTANT, .name = #c, .text = c, .size = sizeof(c), .type = 'x' },
/* The function-like macros are about three state bits. */
#define FACT_macro(c)                                                                   \
	FACT_const(c(0)) FACT_const(c(1)) FACT_const(c(2)) FACT_const(c(3))             \
	FACT_const(c(4)) FACT_const(c(5)) FACT_const(c(6)) FACT_const(c(7))

const struct fact FACTS_TABLE[] = {
#include "facts.inc"
	{ .name = NULL },
};
