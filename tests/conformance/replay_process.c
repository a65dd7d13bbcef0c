/* SPDX-License-Identifier: MIT */
/*
 * Calls of the old VFIO containers, and everything around the commands: command
 * numbers nobody knows, file operations, memory and files that change, children.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay.h"

typedef unsigned long long ull;

/* ---- containers ---- */

static bool vfio_by_value(void)
{
	struct context *ctx = pick_context();
	unsigned long number = PICK(VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU);
	/* 8, no IOMMU, depends on how Linux is built */
	unsigned long value = PICK(0, 1, 1, 3, 3, 4, 4, 6, 9, 10, 99, UINT32_MAX);

	/* type 1 turns large entries off, dirty bits or not */
	say(" %lx value %lu", number, value);
	say_result(ioctl(ctx->fd, number, value));
	return true;
}

static uint32_t pick_argsz(uint32_t size)
{
	return USUALLY(size, 0, size - 1, size + 1, size + 100, UINT32_MAX);
}

static bool vfio_map(void)
{
	struct context *ctx = pick_context();
	struct vfio_iommu_type1_dma_map cmd = {
		.flags = USUALLY(PICK(1, 2, 3, 3), 4, 7), /* 0 makes Linux warn */
		.vaddr = pick_va(),
		.iova = pick_iova(ctx),
		.size = pick_length(),
	};

	cmd.argsz = pick_argsz(sizeof(cmd));
	say(" size %u flags %x va %llx iova %llx len %llx", cmd.argsz, cmd.flags, (ull)cmd.vaddr,
	    (ull)cmd.iova, (ull)cmd.size);
	say_result(ioctl(ctx->fd, VFIO_IOMMU_MAP_DMA, USUALLY(&cmd, 0, NOWHERE)));
	return true;
}

static bool vfio_unmap(void)
{
	struct context *ctx = pick_context();
	struct area *area = pick_area(ctx);
	struct vfio_iommu_type1_dma_unmap cmd = {
		.flags = USUALLY(0, 1, 2, 4),
		.iova = pick_iova(ctx),
		.size = pick_length(),
	};

	if (chance(8)) {
		cmd.flags = VFIO_DMA_UNMAP_FLAG_ALL;
		cmd.iova = cmd.size = 0;
	} else if (area && chance(60)) {
		cmd.iova = area->iova + (chance(40) ? PICK(PAGE, 1, 2048) : 0);
		cmd.size = area->length - (chance(40) ? PICK(PAGE, 1, 2048) : 0);
	}
	cmd.argsz = pick_argsz(sizeof(cmd));
	say(" size %u flags %x iova %llx len %llx", cmd.argsz, cmd.flags, (ull)cmd.iova,
	    (ull)cmd.size);
	/* the structure may lie where it cannot be written */
	if (chance(4)) {
		mprotect((void *)ARG_READONLY, PAGE, PROT_READ | PROT_WRITE);
		memcpy((void *)ARG_READONLY, &cmd, sizeof(cmd));
		mprotect((void *)ARG_READONLY, PAGE, PROT_READ);
		say(" readonly");
		say_result(ioctl(ctx->fd, VFIO_IOMMU_UNMAP_DMA, ARG_READONLY));
		return true;
	}
	say(" = %d", ioctl(ctx->fd, VFIO_IOMMU_UNMAP_DMA, &cmd) ? errno : 0);
	say(" len %llx", (ull)cmd.size);
	say_line();
	return true;
}

static bool vfio_info(void)
{
	struct context *ctx = pick_context();
	struct vfio_iommu_type1_info cmd = {
		.argsz = PICK(0, 15, 16, 20, 24, 36, 40, 56, 72, 71, 88, 104, 200, 1000),
	};
	uint64_t arg = data_arg(&cmd, sizeof(cmd));

	if (arg < DATA_AT || arg >= DATA_AT + DATA_SIZE)
		say(" at %llx", (ull)arg);
	say(" size %u", cmd.argsz);
	say(" = %d", ioctl(ctx->fd, VFIO_IOMMU_GET_INFO, arg) ? errno : 0);
	say_data();
	say_line();
	return true;
}

const struct step vfio_steps[] = {
	{ "vfio", 8, vfio_by_value },
	{ "vfio_map", 18, vfio_map },
	{ "vfio_unmap", 14, vfio_unmap },
	{ "vfio_info", 10, vfio_info },
	{ NULL, 0, NULL },
};

/* ---- commands nobody knows, and operations files do not have ---- */

static bool odd_number(void)
{
	struct context *ctx = pick_context();
	unsigned long number = 0x3b00 | PICK(0, 0x63, 0x67, 0x7f, 0x80, 0x81, 0x89, 0x95, 0x9f,
					     0xa0, 0xa1, 0xff, pick(256));
	unsigned int nr = number & 0xff;
	bool known = (nr >= 0x64 && nr <= 0x66) || (nr >= 0x70 && nr <= 0x72) ||
		     (nr >= 0x82 && nr <= 0x94);
	uint32_t words[32] = { PICK(0, 4, 7, 128) };
	uint64_t arg = data_arg(words, sizeof(words));

	if (known)
		number |= PICK(1u << 30, 4u << 16, 3u << 30 | 40u << 16, 1u << 31);
	else
		number |=
			USUALLY(0, 1u << 30, 4u << 16, 3u << 30 | 40u << 16, 1u << 31, 1ULL << 32);
	say(" %lx first %u at %llx", number, words[0], (ull)arg);
	say(" = %d", ioctl(ctx->fd, number, arg) < 0 ? errno : 0);
	say_data();
	say_line();
	return true;
}

static bool file_operation(void)
{
	struct context *ctx = pick_context();
	struct pollfd poll_fd = { .fd = ctx->fd, .events = POLLIN | POLLOUT };

	/* not read, write and seek: what is injected in place of the device has them */
	say(" flags %x", fcntl(ctx->fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND));
	say(" poll %d", poll(&poll_fd, 1, 0));
	say(" %x", poll_fd.revents);
	say_line();
	return true;
}

/* A file some command made. */
enum made { MADE_ACCESS, MADE_FAULTS, MADE_EVENTS, MADE_DMABUF };

static int pick_made_fd(enum made *ret_made)
{
	const struct event_fd *event;

	switch (pick(3)) {
	case 0:
		*ret_made = MADE_ACCESS;
		return world->accesses[pick(ACCESSES)].fd;
	case 1:
		event = &world->events[pick(EVENT_FDS)];
		*ret_made = event->is_fault ? MADE_FAULTS : MADE_EVENTS;
		return event->fd;
	}
	*ret_made = MADE_DMABUF;
	return world->files[3 + pick(FILES - 3)];
}

static void made_poll(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = PICK(POLLIN, POLLOUT, POLLPRI, 7) };

	say(" poll %d", poll(&poll_fd, 1, 0));
	say(" %x", poll_fd.revents);
}

static void made_stat(int fd, enum made made)
{
	struct stat st = { 0 };

	/* what a guest's events are read from is half of a pipe */
	if (made != MADE_EVENTS)
		say(" flags %x", fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	say(" %x stat %d", fcntl(fd, F_GETFD), fstat(fd, &st));
	say(" %x size %ld", st.st_mode, (long)st.st_size);
}

static long made_map(int fd)
{
	void *page = mmap(NULL, PAGE, PROT_READ, PICK(MAP_SHARED, MAP_PRIVATE), fd, 0);

	if (page == MAP_FAILED)
		return -1;
	munmap(page, PAGE);
	return 0;
}

/* What is not meant to be done with them, as far as we see it. */
static bool made_file_operation(void)
{
	static const char *const names[] = {
		"read", "write", "pread", "pwrite", "map", "ioctl", "seek", "poll", "stat",
	};
	enum made made;
	int fd = pick_made_fd(&made);
	unsigned int operation = pick(9);
	long value = PICK(0, 1, 8, PAGE), position = PICK(0, PAGE);
	bool events = made == MADE_FAULTS || made == MADE_EVENTS;
	void *data = (void *)DATA_AT;

	if (in_child || fd < 0)
		return false;
	if (events && operation < 2)
		value = 0;
	if (operation == 6 && made == MADE_ACCESS)
		return false;
	say(" %s %s %ld", fd_name(fd), names[operation], value);
	switch (operation) {
	case 0:
		say_result(read(fd, data, value));
		return true;
	case 1:
		say_result(write(fd, data, value));
		return true;
	case 2:
		say_result(pread(fd, data, value, position));
		return true;
	case 3:
		say_result(pwrite(fd, data, value, position));
		return true;
	case 4:
		say_result(made_map(fd));
		return true;
	case 5:
		say_result(
			ioctl(fd, PICK(IOMMU_IOAS_ALLOC, 0, 0x5401, VFIO_GET_API_VERSION), data));
		return true;
	case 6:
		say_result(lseek(fd, events ? value : 0, PICK(SEEK_SET, SEEK_END)));
		return true;
	case 7:
		made_poll(fd);
		break;
	default:
		made_stat(fd, made);
	}
	say_line();
	return true;
}

/* ---- what goes on around ---- */

static pid_t helper;
static int to_helper, from_helper;

void helper_end(void)
{
	if (!helper)
		return;
	close(to_helper);
	close(from_helper);
	waitpid(helper, NULL, 0);
	helper = 0;
}

static bool poke(void)
{
	uint64_t va = PICK(SHARED_AT, PRIVATE_AT, FILE_AT) + pick(FILE_PAGES) * PAGE +
		      PICK(0, 8, 2048, 4088);
	uint64_t value = random_u64();

	memcpy((void *)va, &value, sizeof(value));
	say(" %llx", (ull)va);
	say_line();
	return true;
}

static bool look(void)
{
	say(" %08x %08x %08x", hash((void *)SHARED_AT, BUFFER_PAGES * PAGE),
	    hash((void *)PRIVATE_AT, BUFFER_PAGES * PAGE),
	    hash((void *)FILE_AT, FILE_PAGES * PAGE));
	say_line();
	return true;
}

/* Only once: what has been pinned and unmapped we do not keep as Linux does. */
static bool hole(void)
{
	if (in_child || world->hole_closed)
		return false;
	if (mmap((void *)(HOLEY_AT + 4 * PAGE), PAGE, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(4);
	*(uint64_t *)(HOLEY_AT + 4 * PAGE) = 1;
	world->hole_closed = true;
	say(" closes");
	say_line();
	return true;
}

static bool counters(void)
{
	char name[64];
	unsigned long value;
	FILE *status;
	char text[256];

	/* Linux counts below zero when pages without charges change hands */
	if (world->changed_hands)
		return false;
	status = fopen("/proc/self/status", "r");
	while (status && fgets(text, sizeof(text), status)) {
		if (sscanf(text, "%63[^:]: %lu", name, &value) == 2 &&
		    (!strcmp(name, "VmPin") || !strcmp(name, "VmLck")))
			say(" %s %lu", name, value);
	}
	if (status)
		fclose(status);
	say_line();
	return true;
}

/* Who may pin how much, from now on. */
static bool privileges(void)
{
	bool ipc_lock, resource;
	unsigned int pages;

	if (!world->unprivileged || in_child)
		return false;
	if (chance(50)) {
		pages = PICK(0, 4, 12, 48, 48, 100);
		memlock_set(pages);
		say(" lock %u pages", pages);
	} else {
		ipc_lock = chance(30);
		resource = chance(50);
		privileges_set(ipc_lock, resource);
		say(" lock %d resource %d", ipc_lock, resource);
	}
	say_line();
	return true;
}

static bool second_context(void)
{
	struct context *ctx = &world->contexts[1];

	if (in_child)
		return false;
	/* it has the descriptors of the time it was made */
	helper_end();
	if (ctx->fd >= 0) {
		say(" close");
		context_close(ctx);
	} else {
		const char *path = chance(70) ? "/dev/iommu" : "/dev/vfio/vfio";
		int flags = USUALLY(O_RDWR, O_RDONLY);

		context_open(ctx, path, flags);
		say(" open %s %x %s", path, flags, ctx->fd >= 0 ? "" : strerrorname_np(errno));
	}
	say_line();
	return true;
}

/* ---- dma-bufs ---- */

static bool dmabuf(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DMABUF_GET };
	unsigned int slot = 3 + pick(FILES - 3);
	long fd;

	if (in_child)
		return false;
	if (world->files[slot] >= 0 && chance(50)) {
		say(" close file%u", slot);
		say_result(close(world->files[slot]));
		world->files[slot] = -1;
		return true;
	}
	if (world->files[slot] >= 0) {
		cmd.op = IOMMU_TEST_OP_DMABUF_REVOKE;
		cmd.dmabuf_revoke.dmabuf_fd = USUALLY(world->files[slot], 200, UINT32_MAX,
						      world->files[0], world->files[2]);
		cmd.dmabuf_revoke.revoked = PICK(0, 1, 1, 2);
		say(" revoke %s %u", fd_name(cmd.dmabuf_revoke.dmabuf_fd),
		    cmd.dmabuf_revoke.revoked);
		CALL(ctx, IOMMU_TEST_CMD, cmd);
		say_line();
		return true;
	}
	cmd.dmabuf_get.length =
		PICK(0, 1, PAGE, 3 * PAGE, 8 * PAGE, 8 * PAGE, 512 * PAGE, 513 * PAGE, UINT32_MAX);
	cmd.dmabuf_get.open_flags = O_CLOEXEC | O_RDWR;
	say(" len %x", cmd.dmabuf_get.length);
	expect_fd_at(FD_IS_RESULT);
	fd = CALL(ctx, IOMMU_TEST_CMD, cmd);
	if (fd >= 0)
		world->files[slot] = fd;
	say_line();
	return true;
}

/* ---- children ---- */

static void steps_in_child(unsigned int n)
{
	in_child = true;
	while (n) {
		if (step_make()) {
			world->calls++;
			n--;
		}
	}
}

/* Makes a few calls and is gone, its address space too. */
static bool short_child(void)
{
	unsigned int n = 1 + pick(3), user = chance(20) ? PICK(1000, 1000, 1001) : 0;
	int status;
	pid_t pid;

	if (in_child)
		return false;
	say(" with %u", n);
	if (user)
		say(" user %u", user);
	say_line();
	pid = fork();
	if (!pid) {
		if (user) {
			memlock_set(20);
			if (setresuid(user, user, user))
				_exit(5);
		}
		steps_in_child(n);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		_exit(5);
	return true;
}

static void helper_main(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1) {
		steps_in_child(1);
		if (write(out, &byte, 1) != 1)
			_exit(5);
	}
	_exit(0);
}

/* Lives on between its calls. */
static bool long_child(void)
{
	int in[2], out[2];
	char byte = 0;

	if (in_child)
		return false;
	if (helper && chance(20)) {
		helper_end();
		say(" ends");
		say_line();
		return true;
	}
	if (!helper) {
		if (pipe(in) || pipe(out))
			_exit(5);
		helper = fork();
		if (!helper) {
			close(in[1]);
			close(out[0]);
			helper_main(in[0], out[1]);
		}
		close(in[0]);
		close(out[1]);
		to_helper = in[1];
		from_helper = out[0];
	}
	say(" call");
	say_line();
	if (write(to_helper, &byte, 1) != 1 || read(from_helper, &byte, 1) != 1)
		_exit(5);
	return true;
}

const struct step process_steps[] = {
	{ "number", 6, odd_number },
	{ "file", 2, file_operation },
	{ "descriptor", 9, made_file_operation },
	{ "poke", 10, poke },
	{ "look", 6, look },
	{ "hole", 5, hole },
	{ "counters", 6, counters },
	{ "privileges", 8, privileges },
	{ "context", 5, second_context },
	{ "dmabuf", 10, dmabuf },
	{ "child", 8, short_child },
	{ "helper", 10, long_child },
	{ NULL, 0, NULL },
};
