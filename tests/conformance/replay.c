/* SPDX-License-Identifier: MIT */
/*
 * replay FIRST [LAST] - for each seed a few hundred calls on /dev/iommu, one line
 * each: what was asked, what came back, and every word that changed.
 *
 * Run on a Linux with IOMMUFD_TEST and under `uiommufd run --selftest` it must
 * print the same text; compare.sh does that, and check-golden.sh compares with
 * texts recorded earlier.  Calls are chosen so that most succeed and the rest
 * fail for one or two reasons at once.  Those Linux does not survive, or where
 * we differ on purpose (docs/architecture.md), are not made.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay.h"

#define CALLS_PER_SEED 220
#define PAD 16 /* bytes after a structure that must not change */

struct world *const world = (struct world *)WORLD_AT;
bool in_child;

/* ---- chance ---- */

/* splitmix64 */
uint64_t random_u64(void)
{
	uint64_t z = world->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

unsigned int pick(unsigned int n)
{
	return (unsigned int)((random_u64() >> 32) % n);
}

bool chance(unsigned int percent)
{
	return pick(100) < percent;
}

uint64_t pick_value(const uint64_t *values, unsigned int n)
{
	return values[pick(n)];
}

/* ---- the text ---- */

static char line[8192];
static size_t line_len;

void say(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line + line_len, sizeof(line) - line_len - 1, format, args);
	va_end(args);
	line_len += n;
	if (line_len > sizeof(line) - 2)
		line_len = sizeof(line) - 2;
}

/* Written at once: a child may have the next line. */
void say_line(void)
{
	size_t done = 0;

	line[line_len++] = '\n';
	while (done < line_len) {
		ssize_t n = write(1, line + done, line_len - done);

		if (n <= 0)
			_exit(3);
		done += n;
	}
	line_len = 0;
}

#define NO_FD -2
static int fd_at = NO_FD;

void expect_fd_at(int offset)
{
	fd_at = offset;
}

static void say_outcome(long rc, int error)
{
	const char *name;

	if (rc >= 0 && fd_at == FD_IS_RESULT) {
		say(" = fd");
		return;
	}
	if (rc >= 0) {
		say(" = %ld", rc);
		return;
	}
	name = strerrorname_np(error);
	if (name)
		say(" = %s", name);
	else
		say(" = errno %d", error);
}

void say_result(long rc)
{
	say_outcome(rc, errno);
	say_line();
}

uint32_t hash(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ *bytes++) * 16777619u;
	return h;
}

/* Word by word, since that is how one reads structures. */
static void say_changes(const void *was, const void *is, size_t len, unsigned int most)
{
	unsigned int n = 0;

	for (size_t at = 0; at + 4 <= len; at += 4) {
		uint32_t a, b;

		memcpy(&a, (const char *)was + at, 4);
		memcpy(&b, (const char *)is + at, 4);
		if (a == b)
			continue;
		if (++n > most) {
			say(" more:%08x", hash((const char *)is + at, len - at));
			return;
		}
		if ((int)at == fd_at)
			say(" %zu:fd", at);
		else
			say(" %zu:%x", at, b);
	}
}

/* ---- the argument ---- */

enum place { PLACE_USUAL, PLACE_CUT, PLACE_NULL, PLACE_NOWHERE, PLACE_READONLY };

/* How many bytes the caller claims to have. */
static uint32_t pick_size(size_t size)
{
	if (chance(94))
		return size;
	return PICK(0, 4, 8, size - 8, size - 4, size - 1, size + 1, size + 8, size + 8, size + 64);
}

/* Where its copy of the command lies; @len bytes of it can be read there. */
static char *place_arg(enum place place, size_t len)
{
	switch (place) {
	case PLACE_NULL:
		return NULL;
	case PLACE_NOWHERE:
		return (char *)NOWHERE;
	case PLACE_READONLY:
		return (char *)ARG_READONLY;
	case PLACE_CUT:
		return (char *)(ARG_AT + 2 * PAGE - len);
	case PLACE_USUAL:
		break;
	}
	return (char *)ARG_AT;
}

static const char *const place_names[] = { "", "cut", "null", "nowhere", "readonly" };

static long call_at(int fd, unsigned long number, void *cmd, size_t size, enum place place,
		    uint32_t claim, bool zero_tail)
{
	size_t total = (claim > size ? claim : size) + PAD, readable = total;
	char before[1024];
	char *arg;
	long rc;
	int error;

	memset(before, 0xa5, sizeof(before));
	memcpy(before, cmd, size);
	memcpy(before, &claim, 4);
	if (claim > size && zero_tail)
		memset(before + size, 0, claim - size);
	if (place == PLACE_CUT)
		readable = claim > size ? size : size - 4;
	arg = place_arg(place, readable);
	if (place == PLACE_READONLY)
		mprotect(arg, PAGE, PROT_READ | PROT_WRITE);
	if (place != PLACE_NULL && place != PLACE_NOWHERE)
		memcpy(arg, before, readable);
	if (place == PLACE_READONLY)
		mprotect(arg, PAGE, PROT_READ);
	if (claim != size)
		say(" size=%u%s", claim, claim > size && !zero_tail ? "!" : "");
	if (place != PLACE_USUAL)
		say(" at=%s", place_names[place]);
	rc = ioctl(fd, number, arg);
	error = errno;
	say_outcome(rc, error);
	if (place != PLACE_NULL && place != PLACE_NOWHERE) {
		say_changes(before, arg, readable, 20);
		memcpy(cmd, arg, size < readable ? size : readable);
	}
	fd_at = NO_FD;
	errno = error;
	return rc;
}

/* Whether any word of the structure may be anything without harm to Linux or to us. */
static bool may_be_spoilt(unsigned long number)
{
	switch (number) {
	case IOMMU_TEST_CMD:
	case IOMMU_DESTROY: /* must_stay() */
	case IOMMU_HWPT_GET_DIRTY_BITMAP: /* only whole entries */
	case IOMMU_HW_QUEUE_ALLOC: /* within a page, and its index is noted */
	case IOMMU_IOAS_MAP_FILE: /* descriptors have other numbers here */
	case IOMMU_GET_HW_INFO: /* User Mode Linux dies of clearing gigabytes */
		return false;
	case IOMMU_OPTION: /* large entries stay off */
		return !world->small_pages;
	}
	return true;
}

/*
 * One word, not the first, becomes what a caller would hardly choose.  (User Mode
 * Linux ignores the upper bits of an address: where we say EFAULT it may find memory.)
 */
static void spoil(void *cmd, size_t size)
{
	unsigned int at = 4 * (1 + pick(size / 4 - 1));
	uint32_t word = PICK(0, 1, 2, 3, 4, 8, 16, 0x1000, 0x7fffffff, 1u << 31, UINT32_MAX,
			     1u << pick(32), pick(256), random_u64() | 1u << 31);

	memcpy((char *)cmd + at, &word, 4);
	say(" spoilt %u:%x", at, word);
}

long call(int fd, unsigned long number, void *cmd, size_t size)
{
	uint32_t claim = pick_size(size);
	bool zero_tail = chance(60);
	enum place place = chance(96) ? PLACE_USUAL : PLACE_CUT + pick(4);

	if (chance(4) && size > 4 && may_be_spoilt(number))
		spoil(cmd, size);
	return call_at(fd, number, cmd, size, place, claim, zero_tail);
}

long call_plainly(int fd, unsigned long number, void *cmd, size_t size)
{
	return call_at(fd, number, cmd, size, PLACE_USUAL, size, true);
}

/* ---- what it points to ---- */

static char data_before[DATA_SIZE];

uint64_t data_arg(const void *content, size_t len)
{
	char *data = (char *)DATA_AT;
	size_t at = 0;

	if (len > DATA_SIZE)
		len = DATA_SIZE;
	if (chance(10))
		at = DATA_SIZE - len; /* up to the very end */
	memset(data, 0x5a, DATA_SIZE);
	if (content)
		memcpy(data + at, content, len);
	memcpy(data_before, data, DATA_SIZE);
	if (chance(95))
		return DATA_AT + at;
	return PICK(0, NOWHERE, READONLY_AT, DATA_AT + DATA_SIZE - len / 2);
}

void say_data(void)
{
	if (!memcmp(data_before, (char *)DATA_AT, DATA_SIZE))
		return;
	say(" data");
	say_changes(data_before, (char *)DATA_AT, DATA_SIZE, 16);
}

/* ---- seeds ---- */

static bool step_of(const struct step *steps, unsigned int *at)
{
	for (; steps->name; steps++) {
		if (*at < steps->weight) {
			line_len = 0;
			say("%u%s %s", world->calls, in_child ? "c" : "", steps->name);
			return steps->make();
		}
		*at -= steps->weight;
	}
	return false;
}

static unsigned int weight_of(const struct step *steps)
{
	unsigned int sum = 0;

	for (; steps->name; steps++)
		sum += steps->weight;
	return sum;
}

bool step_make(void)
{
	static const struct step *const groups[] = {
		memory_steps, access_steps, process_steps, vfio_steps, device_steps, viommu_steps,
	};
	unsigned int n = world->devices ? 6 : 4, sum = 0, at;

	for (unsigned int i = 0; i < n; i++)
		sum += weight_of(groups[i]);
	at = pick(sum);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int weight = weight_of(groups[i]);

		if (at < weight)
			return step_of(groups[i], &at);
		at -= weight;
	}
	return false;
}

static void play(uint64_t seed)
{
	unsigned int calls = CALLS_PER_SEED;

	world_build(seed);
	while (world->calls < calls) {
		if (step_make())
			world->calls++;
	}
	world_close();
}

int main(int argc, char **argv)
{
	uint64_t first, last;

	if (argc < 2) {
		fprintf(stderr, "usage: replay FIRST [LAST]\n");
		return 2;
	}
	/* the answers to some calls depend on them */
	if (!privileged()) {
		fprintf(stderr, "replay needs CAP_IPC_LOCK and CAP_SYS_RESOURCE\n");
		return 77;
	}
	if (!others_exist()) {
		fprintf(stderr, "replay cannot make a process of another user\n");
		return 77;
	}
	first = strtoull(argv[1], NULL, 0);
	last = argc > 2 ? strtoull(argv[2], NULL, 0) : first;
	for (uint64_t seed = first; seed <= last; seed++) {
		int status;
		pid_t pid = fork();

		if (pid < 0)
			return 3;
		if (!pid) {
			play(seed);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status) {
			printf("seed %llu ended with status %x\n", (unsigned long long)seed,
			       status);
			return 1;
		}
	}
	return 0;
}
