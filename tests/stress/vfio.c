/* SPDX-License-Identifier: MIT */
/*
 * Threads that use the devices of one machine all at once, while others change the machine by its
 * control socket's commands: plug and unplug, make VFs, reset, inject, look at everything, let
 * steps fail.  No answer is wrong here.  What is wrong: what a sanitizer says, a call that does not
 * return, a pin or a context left when all is closed.
 *
 *	stress_vfio [-n STEPS] [-r ROUNDS] [-s SEED]
 *
 * The seed decides what each thread does, not when, nor how far it comes on a busy machine: a round
 * ends after ROUND_MS at the latest.  UIOMMUFD_LONG set: more of it.
 */
#include "vfio_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "control/control.h"
#include "core/ctx.h"
#include "mem/mem.h"

#define THREADS	   4
#define CHANGERS   2
#define LOOKERS	   1
#define SLOWEST_MS 60000 /* a call of this length hangs */
#define ROUND_MS   4000

struct options {
	u32 steps, rounds;
	u64 seed, round_ms;
};

/* ---- the machine ---- */

static struct iommufd_system *sys;
static struct machine *machine;
static struct vfio_world world;
static _Atomic u64 good[CALLS_MAX];
static _Atomic bool closing;

static void log_nothing(void *data, enum iommufd_log_level level, const char *line)
{
	if (level == IOMMUFD_LOG_ERROR)
		fprintf(stderr, "library: %s\n", line);
}

/* Bus 1 keeps its devices apart, bus 2 makes one group of them; one device has no IOMMU. */
static int describe(struct machine_desc *desc, bool compat, struct machine_error *error)
{
	static const struct {
		const char *text;
		int (*add)(struct machine_desc *desc, const struct machine_item *item,
			   struct machine_error *error);
	} rows[] = {
		{"addr=00:01.0,bus=1", machine_desc_bridge},
		{"addr=00:02.0,bus=2,acs=no", machine_desc_bridge},
		{"nvme,id=pf,addr=01:00.0,size=1M,vfs=2", machine_desc_device},
		{"dsa,id=a,addr=02:00.0", machine_desc_device},
		{"nvme,id=b,addr=02:01.0,size=1M", machine_desc_device},
		{"mover,id=c,addr=00:05.0", machine_desc_device},
	};
	const struct machine_word container = {.key = "container",
					       .value = compat ? "compat" : "native"};
	int rc = machine_desc_container(desc, &container, error);

	for (size_t i = 0; !rc && i < ARRAY_SIZE(rows); i++)
		rc = machine_desc_text(desc, "test", rows[i].text, rows[i].add, error);
	return rc ?: machine_desc_finish(desc, error);
}

static int machine_begin(bool compat)
{
	struct machine_error error = {""};
	struct machine_desc desc;
	int rc;

	machine_desc_init(&desc, device_models);
	rc = describe(&desc, compat, &error) ?: machine_start(&desc, sys, &machine, &error);
	machine_desc_fini(&desc);
	if (rc)
		printf("not ok - %s\n", error.text);
	return rc;
}

static int world_begin(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	memset(&world, 0, sizeof(world));
	for (int kind = 0; kind < FD_KINDS; kind++)
		for (int i = 0; i < FDS_OF_KIND; i++)
			atomic_store(&world.fds[kind][i], -1);
	if (iommufd_process_create(sys, &world.proc))
		return -1;
	for (int i = 0; i < IOMMUS; i++) {
		world.iommus[i] = iommufd_open(world.proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
		if (iommufd_ioctl(world.proc, world.iommus[i], IOMMU_IOAS_ALLOC, &alloc))
			return -1;
	}
	for (int i = 0; i < EVENTFDS; i++)
		world.eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return world.memory == MAP_FAILED ? -1 : 0;
}

/* NULL: nothing is left behind. */
static const char *world_end(void)
{
	const char *wrong = NULL;

	iommufd_process_destroy(world.proc);
	machine_stop(machine);
	machine = NULL;
	if (mem_space_pins(sys->mem))
		wrong = "pins are left";
	else if (!cds_list_empty(&sys->contexts))
		wrong = "contexts are left";
	iommufd_system_destroy(sys);
	for (int i = 0; i < EVENTFDS; i++)
		close(world.eventfds[i]);
	munmap(world.memory, MEMORY_SIZE);
	return wrong;
}

/* ---- control ---- */

static void ask(const char *line)
{
	static char *const program[] = {(char *)"stress", NULL};
	const struct control_target target = {
		.system = sys, .machine = machine, .pid = 1, .version = "0", .program = program};
	struct json_object *reply = control_execute(&target, line, strlen(line));
	size_t len;

	if (reply)
		json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN, &len);
	json_object_put(reply);
}

#define DO(name, arguments) "{\"execute\":\"" name "\",\"arguments\":{" arguments "}}"

/* These may wait for whoever has a device open. */
static const char *const changes[] = {
	DO("device-remove", "\"device\":\"a\""),
	DO("device-remove", "\"device\":\"b\""),
	DO("device-remove", "\"device\":\"c\""),
	DO("device-remove", "\"device\":\"pf\""),
	DO("device-add", "\"model\":\"dsa\",\"id\":\"a\",\"addr\":\"02:00.0\""),
	DO("device-add", "\"model\":\"nvme\",\"id\":\"b\",\"addr\":\"02:01.0\",\"size\":\"1M\""),
	DO("device-add", "\"model\":\"mover\",\"id\":\"c\",\"addr\":\"00:05.0\""),
	DO("device-add",
	   "\"model\":\"nvme\",\"id\":\"pf\",\"addr\":\"01:00.0\",\"size\":\"1M\",\"vfs\":2"),
	DO("device-add", "\"model\":\"nvme\",\"size\":\"1M\",\"id\":\"a\""),
	DO("device-add", "\"model\":\"mover\",\"id\":\"c\""),
	DO("device-add", "\"model\":\"nvme\",\"id\":\"b\",\"addr\":\"02:01.0\",\"size\":\"1M\","
			 "\"access\":\"trap\""),
	DO("device-add",
	   "\"model\":\"nvme\",\"id\":\"pf\",\"addr\":\"01:00.0\",\"size\":\"1M\",\"vfs\":2"),
	DO("sriov", "\"device\":\"pf\",\"vfs\":2"),
	DO("sriov", "\"device\":\"pf\",\"vfs\":2"),
	DO("sriov", "\"device\":\"pf\",\"vfs\":0"),
};

static const char *const looks[] = {
	DO("query-contexts", ""),
	DO("query-objects", ""),
	DO("query-ioas", ""),
	DO("query-page-table", ""),
	DO("query-dirty", ""),
	DO("query-devices", ""),
	DO("query-counters", ""),
	DO("query-machine", ""),
	DO("device-reset", "\"device\":\"a\""),
	DO("device-reset", "\"device\":\"01:00.0\""),
	DO("device-reset", "\"device\":\"01:10.0\""),
	DO("inject", "\"device\":\"a\",\"what\":\"halt\""),
	DO("inject", "\"device\":\"b\",\"what\":\"internal\""),
	DO("inject", "\"device\":\"01:10.1\",\"what\":\"internal\""),
	DO("page-request", "\"device\":\"a\",\"iova\":4096,\"timeout\":2"),
	DO("dma-read", "\"device\":\"a\",\"iova\":65536,\"length\":64"),
	DO("dma-write", "\"device\":\"b\",\"iova\":65536,\"data\":\"0102\""),
	DO("dma-write", "\"device\":\"pf\",\"iova\":65536,\"data\":\"0102\""),
	DO("dma-write", "\"device\":\"01:10.0\",\"iova\":65536,\"data\":\"0102\""),
	DO("fail", "\"step\":\"alloc\",\"skip\":7"),
	DO("fail", "\"step\":\"*\",\"skip\":20"),
};

/** struct asker - a thread of control commands; @lines of @count */
struct asker {
	pthread_t thread;
	struct choice choice;
	const char *const *lines;
	u32 count;
};

static void *asker_main(void *arg)
{
	struct asker *asker = arg;
	const struct timespec pause = {.tv_nsec = 500 * 1000};

	while (!atomic_load(&closing)) {
		ask(asker->lines[choice_below(&asker->choice, asker->count)]);
		/* Devices are to be used between two changes, too. */
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- a round ---- */

struct runner {
	pthread_t thread;
	struct caller caller;
	u32 steps;
	u64 end_ms;
	_Atomic bool over;
};

static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	for (u32 i = 0; i < runner->steps && now_ms() < runner->end_ms; i++)
		call_any(&runner->caller);
	atomic_store(&runner->over, true);
	return NULL;
}

/* Neighbouring seeds must not begin alike, and 0 is none. */
static u64 seed_state(u64 seed, u32 thread)
{
	return (seed * 64 + thread + 1) * 0x9e3779b97f4a7c15ULL;
}

static void watch(struct runner *runners, u64 seed)
{
	const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};

	for (u32 i = 0; i < THREADS; i++) {
		while (!atomic_load(&runners[i].over)) {
			const char *doing = atomic_load(&runners[i].caller.doing);
			u64 since = atomic_load(&runners[i].caller.since_ms);

			if (doing && now_ms() > since + SLOWEST_MS) {
				printf("not ok - thread %u is in %s (seed %llu)\n", i, doing,
				       (unsigned long long)seed);
				fflush(stdout);
				abort();
			}
			nanosleep(&moment, NULL);
		}
		pthread_join(runners[i].thread, NULL);
	}
}

static void run_threads(const struct options *options, u64 seed)
{
	static struct runner runners[THREADS];
	struct asker askers[CHANGERS + LOOKERS];
	u32 i;

	memset(runners, 0, sizeof(runners));
	atomic_store(&closing, false);
	for (i = 0; i < ARRAY_SIZE(askers); i++) {
		bool changer = i < CHANGERS;

		askers[i] =
			(struct asker){.choice.state = seed_state(seed, 32 + i),
				       .lines = changer ? changes : looks,
				       .count = changer ? ARRAY_SIZE(changes) : ARRAY_SIZE(looks)};
		if (pthread_create(&askers[i].thread, NULL, asker_main, &askers[i]))
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		runners[i].caller.world = &world;
		runners[i].caller.good = good;
		runners[i].caller.choice.state = seed_state(seed, i);
		runners[i].steps = options->steps;
		runners[i].end_ms = now_ms() + options->round_ms;
		if (pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]))
			abort();
	}
	watch(runners, seed);
	atomic_store(&closing, true);
	/* Who waits for a device's end waits for this. */
	fds_close(&world);
	for (i = 0; i < ARRAY_SIZE(askers); i++)
		pthread_join(askers[i].thread, NULL);
	fault_named_set("", 0, 0);
}

static bool run_round(const struct options *options, u32 round)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts), .log = log_nothing, .log_level = IOMMUFD_LOG_ERROR};
	u64 seed = options->seed + round, start = now_ms();
	const char *wrong;

	if (iommufd_system_create(&opts, &sys) || machine_begin(round % 3 == 2) || world_begin())
		return false;
	run_threads(options, seed);
	wrong = world_end();
	printf("# round %u, seed %llu: %llu ms%s%s\n", round, (unsigned long long)seed,
	       (unsigned long long)(now_ms() - start), wrong ? ": " : "", wrong ? wrong : "");
	fflush(stdout);
	return !wrong;
}

/* What never succeeded, and how often the rest did; said, but no failure. */
static void say_good(void)
{
	printf("# successful:");
	for (u32 row = 0; row < call_count(); row++)
		printf(" %s %llu%s", call_name(row), (unsigned long long)good[row],
		       row + 1 < call_count() ? "," : "\n");
}

int main(int argc, char **argv)
{
	struct options options = {
		.steps = 20000, .rounds = 3, .seed = 1, .round_ms = ROUND_MS};
	bool fine = true;
	int opt;

	if (getenv("UIOMMUFD_LONG")) {
		options.steps = 100000;
		options.rounds = 20;
		options.round_ms = 15 * ROUND_MS;
		options.seed = (u64)time(NULL) * 1000;
	}
	while ((opt = getopt(argc, argv, "n:r:s:")) != -1) {
		u64 value = strtoull(optarg ? optarg : "", NULL, 0);

		if (opt == 'n')
			options.steps = (u32)value;
		else if (opt == 'r')
			options.rounds = (u32)value;
		else if (opt == 's')
			options.seed = value;
		else
			return 2;
	}
	for (u32 round = 0; round < options.rounds && fine; round++)
		fine = run_round(&options, round);
	say_good();
	printf("%s 1 - a machine changes while all its devices are used\n1..1\n",
	       fine ? "ok" : "not ok");
	return fine ? 0 : 1;
}
