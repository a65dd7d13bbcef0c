/* SPDX-License-Identifier: MIT */
/*
 * Holds our table of facts against the kernel's: one test for structures, one
 * for members, one for constants.  Both come from one list, so they have the
 * same names in the same order.
 *
 * Usage: compare HEADER FIRST_TEST [newer]; the output is TAP without a plan.
 * With "newer" the kernel's header is of a later release than ours, where a
 * structure may have grown at its end and a last enumerator may have moved up;
 * these are then mentioned only.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fact.h"

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool facts_equal(const struct fact *a, const struct fact *b)
{
	return !strcmp(a->name, b->name) && texts_equal(a->text, b->text) && a->value == b->value &&
	       a->size == b->size && a->align == b->align && a->type == b->type;
}

static bool may_have_grown(const struct fact *ours, const struct fact *kernel)
{
	size_t length = strlen(ours->name);

	if (ours->kind == FACT_STRUCT)
		return kernel->size > ours->size && kernel->align == ours->align;
	return ours->kind == FACT_CONSTANT && kernel->value > ours->value && length > 3 &&
	       !strcmp(ours->name + length - 3, "_NR");
}

static void fact_print(const char *whose, const struct fact *f)
{
	if (f->text)
		printf("#   %s \"%s\"\n", whose, f->text);
	else
		printf("#   %s value %lld size %lu align %lu type %c\n", whose, f->value, f->size,
		       f->align, f->type);
}

static bool kind_compare(enum fact_kind kind, bool newer, int *ret_count)
{
	bool good = true;
	int count = 0;

	for (int i = 0; facts_ours[i].name; i++) {
		const struct fact *ours = &facts_ours[i], *kernel = &facts_kernel[i];

		if (ours->kind != kind)
			continue;
		count++;
		if (facts_equal(ours, kernel))
			continue;
		if (newer && may_have_grown(ours, kernel)) {
			printf("# %s has grown since\n", ours->name);
			continue;
		}
		good = false;
		printf("# %s differs\n", ours->name);
		fact_print("ours  ", ours);
		fact_print("kernel", kernel);
	}
	*ret_count = count;
	return good;
}

int main(int argc, char **argv)
{
	static const char *const what[FACT_KINDS] = {
		[FACT_STRUCT] = "structures and enums have the kernel's size",
		[FACT_MEMBER] = "members have the kernel's offset, size and type",
		[FACT_CONSTANT] = "constants have the kernel's value and type",
	};
	bool newer = argc > 3 && !strcmp(argv[3], "newer");
	bool all_good = true;

	if (argc < 3)
		return 2;
	for (int kind = 0; kind < FACT_KINDS; kind++) {
		int count;
		bool good = kind_compare(kind, newer, &count) && count;

		printf("%s %d - %s: %d %s\n", good ? "ok" : "not ok", atoi(argv[2]) + kind, argv[1],
		       count, what[kind]);
		all_good = all_good && good;
	}
	return all_good ? 0 : 1;
}
