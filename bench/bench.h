/* SPDX-License-Identifier: MIT */
/*
 * Measuring: a benchmark is a function that does its work n times; it is run
 * in rounds beside a named baseline that is run in the same rounds, so that a
 * noisy machine disturbs both alike.  The median round counts; the best one is
 * shown too, because others on the machine can only make it worse.
 *
 * Results are lines of JSON on standard output; progress goes to standard
 * error, and only on a terminal.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

typedef void (*bench_fn)(void *ctx, uint64_t n);

/** struct bench - one row; @n is how often a round calls for the work */
struct bench {
	const char *name;
	bench_fn fn;
	uint64_t n;
	const char *baseline; /* NULL: none, only the figure */
	bench_fn baseline_fn;
	uint64_t baseline_n;
	double aim_ns; /* 0: none; also the next */
	double aim_ratio;
	bench_fn undo; /* NULL: none; run after each round with the same n, and not measured */
};

/** bench_select() - with an argument, only rows whose names contain it are measured */
void bench_select(int argc, char **argv);
int bench_selected(const char *name);

/** bench_run() - measure and print one row: ns per item, of both, and their ratio */
void bench_run(const struct bench *bench, void *ctx);

/**
 * struct bench_chain - lines of memory in one cycle in no order: each says where the next one is
 */
struct bench_chain {
	uint64_t *lines;
	volatile uint64_t at;
};

/** bench_chain_make() - @bytes of it, whole lines; bench_chase(): @loads, one after the other */
void bench_chain_make(struct bench_chain *chain, uint64_t bytes);
void bench_chain_free(struct bench_chain *chain);
void bench_chase(struct bench_chain *chain, uint64_t loads);

uint64_t bench_now_ns(void);
/**
 * bench_check() - end the program with a line if @ok is false: a benchmark that fails is no figure
 */
void bench_check(int ok, const char *what);

#endif
