/* SPDX-License-Identifier: MIT */
/*
 * The rounds, the medians and the output.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 11
#define LINE   64

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

void bench_check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: failed (%s)\n", what, strerror(errno));
	exit(1);
}

/* ---- loads that wait for each other ---- */

void bench_chain_make(struct bench_chain *chain, uint64_t bytes)
{
	uint64_t count = bytes / LINE, step = LINE / sizeof(uint64_t);
	uint64_t *order = malloc(count * sizeof(*order));

	chain->lines = aligned_alloc(LINE, bytes);
	chain->at = 0;
	bench_check(chain->lines && order, "memory");
	for (uint64_t i = 0; i < count; i++)
		order[i] = i;
	for (uint64_t i = count - 1; i; i--) {
		uint64_t j = (uint64_t)random() % i, swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (uint64_t i = 0; i < count; i++)
		chain->lines[order[i] * step] = order[(i + 1) % count] * step;
	free(order);
}

void bench_chain_free(struct bench_chain *chain)
{
	free(chain->lines);
	chain->lines = NULL;
}

void bench_chase(struct bench_chain *chain, uint64_t loads)
{
	uint64_t at = chain->at;

	while (loads--)
		at = chain->lines[at];
	chain->at = at;
}

/* ---- rounds ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double round_ns(bench_fn fn, void *ctx, uint64_t n)
{
	uint64_t start = bench_now_ns();

	fn(ctx, n);
	return (double)(bench_now_ns() - start) / n;
}

static void progress(const char *name, int round)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%s %d/%d", name, round, ROUNDS);
}

static const char *selected;

void bench_select(int argc, char **argv)
{
	selected = argc > 1 ? argv[1] : NULL;
}

int bench_selected(const char *name)
{
	return !selected || strstr(name, selected);
}

void bench_run(const struct bench *bench, void *ctx)
{
	double ns[ROUNDS], base[ROUNDS] = { 0 };

	if (!bench_selected(bench->name))
		return;
	for (int i = 0; i < ROUNDS; i++) {
		progress(bench->name, i);
		ns[i] = round_ns(bench->fn, ctx, bench->n);
		if (bench->undo)
			bench->undo(ctx, bench->n);
		if (bench->baseline_fn)
			base[i] = round_ns(bench->baseline_fn, ctx, bench->baseline_n);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	qsort(base, ROUNDS, sizeof(base[0]), compare);
	printf("{\"name\": \"%s\", \"ns\": %.2f, \"best_ns\": %.2f", bench->name, ns[ROUNDS / 2],
	       ns[0]);
	if (bench->baseline)
		printf(", \"baseline\": \"%s\", \"baseline_ns\": %.2f, \"baseline_best_ns\": %.2f, "
		       "\"ratio\": %.2f, \"best_ratio\": %.2f",
		       bench->baseline, base[ROUNDS / 2], base[0],
		       ns[ROUNDS / 2] / base[ROUNDS / 2], ns[0] / base[0]);
	if (bench->aim_ns)
		printf(", \"aim_ns\": %.1f", bench->aim_ns);
	if (bench->aim_ratio)
		printf(", \"aim_ratio\": %.2f", bench->aim_ratio);
	printf("}\n");
	fflush(stdout);
}
