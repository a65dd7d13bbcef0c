/* SPDX-License-Identifier: MIT */
/*
 * Data integrity of a disk under load, through crashes.
 *
 *	integrity run LOG SECONDS    read and write at random, in a child that is started anew
 *	                             whenever it loses the disk; exit 1 if a read was wrong.
 *	                             Longer, if nothing much has happened by then
 *	integrity check LOG IMAGE    is what LOG says was acknowledged in the image?
 *
 * The disk is an array of slots.  Each write fills one with its number and a sequence
 * number; LOG, memory in a file that outlives everybody, says for each slot which
 * sequence number was begun last and which was acknowledged last.
 */
#include <err.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../examples/nvme/nvme_user.h"

#define SLOTS 1024u
#define SLOT  8192u /* bytes */
#define DEPTH 16u

struct slot {
	_Atomic uint32_t begun;
	_Atomic uint32_t acknowledged;
};

struct log {
	struct slot slots[SLOTS];
	_Atomic uint64_t writes, reads, lost;
};

enum { LOST = 3, WRONG = 4 }; /* 1 is the driver's: no disk */

/** struct command - one under way; @slot SLOTS: none */
struct command {
	uint32_t slot;
	uint32_t seq; /* 0: a read */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct log *log_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct log *log;

	if (fd < 0 || ftruncate(fd, sizeof(*log)))
		err(2, "%s", path);
	log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	return log;
}

/* ---- what a slot holds ---- */

static uint64_t word(uint32_t slot, uint32_t seq, size_t i)
{
	return seq ? ((uint64_t)seq << 32 | slot) + i * 0x9e3779b97f4a7c15ULL : 0;
}

static void fill(char *data, uint32_t slot, uint32_t seq)
{
	for (size_t i = 0; i < SLOT / 8; i++) {
		uint64_t value = word(slot, seq, i);

		memcpy(data + 8 * i, &value, 8);
	}
}

/* Blocks of a write that was never acknowledged may have come or not, each as a whole. */
static int holds(const char *data, size_t block, uint32_t slot, uint32_t low, uint32_t high)
{
	for (size_t at = 0; at < SLOT; at += block) {
		uint64_t first;
		uint32_t seq;

		memcpy(&first, data + at, 8);
		seq = first ? (uint32_t)((first - at / 8 * 0x9e3779b97f4a7c15ULL) >> 32) : 0;
		if (seq < low || seq > high)
			return 0;
		for (size_t i = at / 8; i < (at + block) / 8; i++) {
			uint64_t value = word(slot, seq, i);

			if (memcmp(data + 8 * i, &value, 8))
				return 0;
		}
	}
	return 1;
}

/* ---- the load ---- */

static struct log *history;
static struct nvme_user nvme;
static struct command under_way[DEPTH];
static uint8_t busy[SLOTS];
static uint64_t seed;

static uint32_t chance(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % n);
}

static void begin(unsigned int cid)
{
	struct command *command = &under_way[cid];
	uint32_t slot = chance(SLOTS);
	struct slot *is = &history->slots[slot];

	if (busy[slot])
		return;
	busy[slot] = 1;
	*command = (struct command){.slot = slot};
	if (chance(2)) {
		command->seq = is->begun + 1;
		fill(nvme.buffers + cid * SLOT, slot, command->seq);
		is->begun = command->seq;
	}
	nvme_user_submit(&nvme, command->seq ? NVME_WRITE : NVME_READ, (uint16_t)cid,
			 (uint64_t)slot * SLOT / nvme.block_size, cid * SLOT, SLOT);
}

static void finish(unsigned int cid)
{
	struct command *command = &under_way[cid];
	struct slot *is = &history->slots[command->slot];

	if (command->seq) {
		is->acknowledged = command->seq;
		history->writes++;
	} else {
		if (!holds(nvme.buffers + cid * SLOT, nvme.block_size, command->slot,
			   is->acknowledged, is->begun)) {
			fprintf(stderr, "slot %u: not what was written (%u to %u)\n", command->slot,
				is->acknowledged, is->begun);
			exit(WRONG);
		}
		history->reads++;
	}
	busy[command->slot] = 0;
	command->slot = SLOTS;
}

static void load(double until)
{
	double heard = now();
	uint16_t cid, status;

	nvme_user_open(&nvme, NULL, DEPTH * SLOT);
	for (unsigned int i = 0; i < DEPTH; i++)
		under_way[i].slot = SLOTS;
	while (now() < until) {
		for (unsigned int i = 0; i < DEPTH; i++)
			if (under_way[i].slot == SLOTS)
				begin(i);
		nvme_user_ring(&nvme);
		while (nvme_user_poll(&nvme, &cid, &status)) {
			if (cid >= DEPTH || under_way[cid].slot == SLOTS) {
				fprintf(stderr, "a completion of nothing: %u\n", cid);
				exit(WRONG);
			}
			if (status)
				exit(LOST);
			finish(cid);
			heard = now();
		}
		if (now() > heard + 1 || (!chance(64) && nvme_user_wanted(&nvme)))
			exit(LOST);
	}
	exit(0);
}

/* On a machine that has no time for us: until there was something to see, a minute at most. */
static double longer(double until)
{
	static double most;

	if (!most)
		most = until + 60;
	if (now() < until || now() > most ||
	    (history->writes && history->reads && history->lost))
		return until;
	return now() + 5; /* a disk that says nothing for a second is lost */
}

static int run(double seconds)
{
	double until = now() + seconds;
	int status;
	pid_t pid;

	for (; now() < until; until = longer(until)) {
		pid = fork();
		if (pid < 0)
			err(2, "fork");
		if (!pid) {
			seed = (uint64_t)getpid() * 77777;
			alarm((unsigned int)seconds + 20);
			load(until);
		}
		if (waitpid(pid, &status, 0) != pid)
			err(2, "waitpid");
		if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG)
			return 1;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		history->lost++;
		usleep(20000);
	}
	printf("%llu writes, %llu reads, the disk lost %llu times\n",
	       (unsigned long long)history->writes, (unsigned long long)history->reads,
	       (unsigned long long)history->lost);
	return history->writes && history->reads ? 0 : 2;
}

static int check(const char *image)
{
	int fd = open(image, O_RDONLY | O_CLOEXEC), bad = 0;
	static char data[SLOT];

	if (fd < 0)
		err(2, "%s", image);
	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct slot *is = &history->slots[i];

		if (pread(fd, data, SLOT, (off_t)i * SLOT) != SLOT)
			err(2, "%s", image);
		if (holds(data, 512, i, is->acknowledged, is->begun))
			continue;
		fprintf(stderr, "slot %u: acknowledged %u, begun %u, and the image has neither\n",
			i, is->acknowledged, is->begun);
		bad++;
	}
	printf("%d of %u slots are wrong; %llu writes acknowledged\n", bad, SLOTS,
	       (unsigned long long)history->writes);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		errx(2, "usage: integrity run LOG SECONDS | check LOG IMAGE");
	history = log_open(argv[2]);
	return strcmp(argv[1], "run") ? check(argv[3]) : run(atof(argv[3]));
}
