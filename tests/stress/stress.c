/* SPDX-License-Identifier: MIT */
/*
 * Threads that do everything at once.  Each issues random commands, sensible
 * ones and others, on contexts, objects and descriptors all of them share,
 * while memory is taken away under what is mapped and descriptors are closed
 * under who uses them; failures are armed now and then.  No answer is wrong
 * here.  What is wrong: a context whose structures are unsound, a call that
 * does not return, a pin or an object left when all is closed.
 *
 *	stress [-t THREADS] [-n STEPS] [-r ROUNDS] [-s SEED]
 *
 * The seed decides what each thread does, not when; so a run that failed is
 * repeated with the same seed until it fails again.  UIOMMUFD_LONG set: more of it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define SLOWEST_MS 60000 /* a call of this length hangs */
#define CHECK_EVERY_MS 250

struct options {
	u32 threads;
	u32 steps; /* of each thread, in each round */
	u32 rounds;
	u64 seed;
};

/**
 * struct runner - one thread
 * @calls, @good: how many commands, how many of them succeeded
 */
struct runner {
	struct caller caller;
	pthread_t thread;
	u32 steps;
	_Atomic bool over;
};

/* What the rows answered, of all threads. */
struct tally {
	_Atomic u64 calls, good;
	_Atomic u64 good_of[256];
};

static void tally_add(void *data, unsigned int row, long rc)
{
	struct tally *tally = data;

	atomic_fetch_add_explicit(&tally->calls, 1, memory_order_relaxed);
	if (rc < 0)
		return;
	atomic_fetch_add_explicit(&tally->good, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&tally->good_of[row % 256], 1, memory_order_relaxed);
}

static u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

static void *runner_main(void *arg)
{
	struct runner *runner = arg;
	struct world *world = runner->caller.world;
	u32 i;

	for (i = 0; i < runner->steps && !atomic_load(&world->unsound); i++)
		program_step(&runner->caller);
	atomic_store(&runner->over, true);
	return NULL;
}

/* Ends the program if somebody hangs: what holds the thread can not be undone. */
static void watch(struct runner *runner, u32 threads, u64 seed)
{
	const char *doing;
	u64 since, now = now_ms();

	for (u32 i = 0; i < threads; i++) {
		doing = atomic_load_explicit(&runner[i].caller.doing, memory_order_acquire);
		since = atomic_load_explicit(&runner[i].caller.since_ms, memory_order_relaxed);
		if (!doing || now < since + SLOWEST_MS)
			continue;
		printf("not ok - thread %u is in %s since %llu ms (seed %llu)\n", i, doing,
		       (unsigned long long)(now - since), (unsigned long long)seed);
		fflush(stdout);
		abort();
	}
}

static bool all_over(struct runner *runner, u32 threads)
{
	for (u32 i = 0; i < threads; i++)
		if (!atomic_load(&runner[i].over))
			return false;
	return true;
}

static void run_threads(struct world *world, const struct options *options, u64 seed)
{
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
	struct runner runner[WORLD_CALLERS];
	u64 checked = now_ms();
	u32 i;

	memset(runner, 0, sizeof(runner));
	for (i = 0; i < options->threads; i++) {
		caller_init(&runner[i].caller, world, i);
		/* Neighbouring seeds must not begin alike, and 0 is none. */
		runner[i].caller.choice.state = (seed * 64 + i + 1) * 0x9e3779b97f4a7c15ULL;
		runner[i].steps = options->steps;
		if (pthread_create(&runner[i].thread, NULL, runner_main, &runner[i]))
			abort();
	}
	while (!all_over(runner, options->threads)) {
		nanosleep(&moment, NULL);
		watch(runner, options->threads, seed);
		if (now_ms() < checked + CHECK_EVERY_MS)
			continue;
		world_check(world);
		checked = now_ms();
	}
	for (i = 0; i < options->threads; i++)
		pthread_join(runner[i].thread, NULL);
}

/* Commands that never succeeded in the whole run: said, but no failure. */
static void say_never(const struct tally *tally)
{
	unsigned int row, n = 0;

	for (row = 0; row < call_count(); row++)
		if (!tally->good_of[row])
			n++;
	if (!n)
		return;
	printf("# never successful:");
	for (row = 0; row < call_count(); row++)
		if (!tally->good_of[row])
			printf(" %s", call_name(row));
	printf("\n");
}

static bool run_round(const struct options *options, u32 round, struct tally *tally)
{
	static const enum iommufd_frame_policy policies[] = {
		IOMMUFD_FRAMES_CONTIGUOUS, IOMMUFD_FRAMES_RANDOM, IOMMUFD_FRAMES_HUGE_ONLY
	};
	u64 calls = tally->calls, good = tally->good, start = now_ms();
	struct world world;
	const char *wrong;

	if (world_begin(&world, policies[round % 3]))
		return false;
	world.outcome = tally_add;
	world.outcome_data = tally;
	run_threads(&world, options, options->seed + round);
	wrong = world_end(&world);
	printf("# round %u, seed %llu: %llu commands, %llu successful, %llu ms%s%s\n", round,
	       (unsigned long long)(options->seed + round),
	       (unsigned long long)(tally->calls - calls), (unsigned long long)(tally->good - good),
	       (unsigned long long)(now_ms() - start), wrong ? ": " : "", wrong ? wrong : "");
	fflush(stdout);
	return !wrong;
}

static void parse_options(struct options *options, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "t:n:r:s:")) != -1) {
		switch (opt) {
		case 't':
			options->threads = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'n':
			options->steps = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'r':
			options->rounds = (u32)strtoul(optarg, NULL, 0);
			break;
		case 's':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr,
				"usage: stress [-t THREADS] [-n STEPS] [-r ROUNDS] [-s SEED]\n");
			exit(2);
		}
	}
	if (!options->threads || options->threads > WORLD_CALLERS)
		options->threads = WORLD_CALLERS;
}

int main(int argc, char **argv)
{
	struct options options = { .threads = 8, .steps = 4000, .rounds = 5, .seed = 1 };
	struct tally tally = { 0 };
	bool fine = true;

	if (getenv("UIOMMUFD_LONG")) {
		options.steps = 20000;
		options.rounds = 12;
		options.seed = (u64)time(NULL) * 1000;
	}
	parse_options(&options, argc, argv);
	printf("# %u threads, %u steps each, seed %llu\n", options.threads, options.steps,
	       (unsigned long long)options.seed);
	for (u32 round = 0; round < options.rounds && fine; round++)
		fine = run_round(&options, round, &tally);
	say_never(&tally);
	printf("%s 1 - %u threads do everything at once\n1..1\n", fine ? "ok" : "not ok",
	       options.threads);
	return fine ? 0 : 1;
}
