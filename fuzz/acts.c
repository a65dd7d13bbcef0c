/* SPDX-License-Identifier: MIT */
/*
 * What a program does beside ioctls: it reads, writes, polls, duplicates and
 * closes descriptors, maps pages of contexts, and changes its own memory under
 * what it has mapped for devices.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "world.h"

/* ---- descriptors ---- */

static size_t pick_count(struct caller *caller)
{
	static const u32 counts[] = { 40, 80, 400, 12, 24, 8, 16, 0, 1, 7, 39, 41, 4096, 65536,
				      UINT32_MAX };
	u32 n = choice_below(&caller->choice, 32);

	return n < ARRAY_SIZE(counts) ? counts[n] : 40;
}

static void cookies_note(struct caller *caller, const u8 *buf, size_t bytes)
{
	struct iommu_hwpt_pgfault fault;
	struct world *world = caller->world;

	for (; bytes >= sizeof(fault); bytes -= sizeof(fault), buf += sizeof(fault)) {
		memcpy(&fault, buf, sizeof(fault));
		world->cookies[world->next_cookie++ % WORLD_RING] = fault.cookie;
	}
}

static void act_read(struct caller *caller, enum fd_kind kind)
{
	u64 buf = pick_pointer(caller, caller->scratch);
	int fd = pick_fd(caller, kind);
	ssize_t rc;

	rc = iommufd_read(caller->world->proc, fd, (void *)(uintptr_t)buf, pick_count(caller));
	world_note(caller->world, NOTE_READ, rc > 0 ? -110 - (long)kind : rc);
	if (kind == FD_FAULT && rc > 0 && buf == (uintptr_t)caller->scratch)
		cookies_note(caller, caller->scratch, MIN((size_t)rc, SCRATCH_SIZE));
}

static void act_write(struct caller *caller, enum fd_kind kind)
{
	struct iommu_hwpt_page_response response;
	struct choice *choice = &caller->choice;
	struct world *world = caller->world;
	u32 i, n = choice_below(choice, 4) + 1;
	size_t count = n * sizeof(response);
	ssize_t rc;

	for (i = 0; i < n; i++) {
		response.cookie = choice_rarely(choice, 8) ?
					  (u32)choice_raw(choice, 4) :
					  world->cookies[choice_below(choice, WORLD_RING)];
		response.code = choice_rarely(choice, 16) ? 2 : choice_below(choice, 2);
		memcpy(caller->scratch + i * sizeof(response), &response, sizeof(response));
	}
	if (choice_rarely(choice, 16))
		count = pick_count(caller);
	rc = iommufd_write(world->proc, pick_fd(caller, kind),
			   (void *)(uintptr_t)pick_pointer(caller, caller->scratch), count);
	world_note(world, NOTE_WRITE, rc > 0 ? -110 - (long)n : rc);
}

static void act_position(struct caller *caller, enum fd_kind kind, bool write)
{
	void *buf = (void *)(uintptr_t)pick_pointer(caller, caller->scratch);
	int fd = pick_fd(caller, kind);
	size_t count = pick_count(caller);
	u64 offset = choice_raw(&caller->choice, 2);

	if (write)
		iommufd_pwrite(caller->world->proc, fd, buf, count, offset);
	else
		iommufd_pread(caller->world->proc, fd, buf, count, offset);
}

static void act_close(struct caller *caller, enum fd_kind kind)
{
	struct world *world = caller->world;
	int fd = atomic_exchange(&world->fds[kind][choice_below(&caller->choice, WORLD_RING)], -1);

	iommufd_close(world->proc, fd);
}

static void act_dup(struct caller *caller, enum fd_kind kind)
{
	int fd = iommufd_dup(caller->world->proc, pick_fd(caller, kind));

	if (fd >= 0)
		world_put_fd(caller, kind, fd);
}

void act_files(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	enum fd_kind kind = (enum fd_kind)((choice_below(choice, FD_COUNT) + FD_FAULT) % FD_COUNT);
	u32 n = choice_below(choice, 16);

	caller_begin(caller, "a call on a descriptor");
	if (n < 5)
		act_read(caller, kind);
	else if (n < 9)
		act_write(caller, kind);
	else if (n < 11)
		iommufd_poll(caller->world->proc, pick_fd(caller, kind),
			     POLLIN | (choice_below(choice, 2) ? POLLOUT : 0),
			     (int)choice_rarely(choice, 8));
	else if (n < 12)
		act_position(caller, kind, false);
	else if (n < 13)
		act_position(caller, kind, true);
	else if (n < 15)
		act_dup(caller, kind);
	else
		act_close(caller, kind);
	caller_end(caller);
}

/* ---- mappings ---- */

static void act_mmap(struct caller *caller)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_EXEC,
				     PROT_READ | PROT_WRITE | PROT_EXEC };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE, MAP_SHARED | MAP_POPULATE,
				     MAP_SHARED_VALIDATE, MAP_SHARED | MAP_ANONYMOUS, 0 };
	struct choice *choice = &caller->choice;
	struct world_ctx *ctx = pick_ctx(caller);
	u64 offset = ctx->mmap_offset, length = ctx->mmap_length;
	u32 n = choice_below(choice, 32);
	int prot, how, rc;
	void *addr;

	if (n >= 26)
		offset = offset + n * PAGE_SIZE - 28 * PAGE_SIZE;
	if (n >= 24)
		length = choice_below(choice, 5) * PAGE_SIZE / 2;
	if (n == 23)
		offset = choice_raw(choice, 8);
	if (n == 22)
		length = choice_raw(choice, 8);
	prot = prots[n < 16 ? 0 : choice_below(choice, ARRAY_SIZE(prots))];
	how = flags[n < 18 ? 0 : choice_below(choice, ARRAY_SIZE(flags))];
	rc = iommufd_mmap(caller->world->proc, NULL, length, prot, how, ctx->fd, offset, &addr);
	world_note(caller->world, NOTE_MMAP, rc);
	if (rc)
		return;
	/* It is there: whatever its owner does, a mapping keeps it. */
	if (prot & PROT_READ)
		(void)*(volatile u32 *)addr;
	world_put_map(caller, addr, ALIGN_UP(length, PAGE_SIZE));
}

static void act_munmap(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	struct world *world = caller->world;
	struct world_map *map;
	bool half;

	map = atomic_exchange(&world->maps[choice_below(choice, WORLD_RING)], NULL);
	if (!map)
		return;
	half = choice_rarely(choice, 4) && map->length > PAGE_SIZE;
	world_note(world, NOTE_MUNMAP, -(long)half);
	if (half) {
		map->length -= PAGE_SIZE;
		iommufd_munmap(world->proc, (u8 *)map->addr + map->length, PAGE_SIZE);
		world_put_map(caller, map->addr, map->length);
	} else {
		iommufd_munmap(world->proc, map->addr, map->length);
	}
	free(map);
}

void act_maps(struct caller *caller)
{
	caller_begin(caller, "mmap or munmap");
	if (choice_below(&caller->choice, 3) < 2)
		act_mmap(caller);
	else
		act_munmap(caller);
	caller_end(caller);
}

/* ---- the program's memory ---- */

/* A mapping of the arena never fails for good: what is missing is a hole. */
static void act_remap(struct caller *caller, u8 *at)
{
	const int anonymous = MAP_ANONYMOUS | MAP_FIXED;
	struct choice *choice = &caller->choice;
	struct world *world = caller->world;
	int fd = world->files[choice_below(choice, WORLD_FILES)];
	off_t offset = (off_t)(choice_below(choice, 16) * PAGE_SIZE);

	switch (choice_below(choice, 10)) {
	case 0:
	case 1:
		mmap(at, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | anonymous, -1, 0);
		break;
	case 2:
		mmap(at, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | anonymous, -1, 0);
		break;
	case 3:
	case 4:
		mmap(at, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);
		break;
	case 5:
		mmap(at, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, offset);
		break;
	case 6:
		mprotect(at, CHUNK_SIZE, PROT_READ);
		break;
	case 7:
		mprotect(at, PAGE_SIZE, PROT_NONE);
		break;
	case 8:
		madvise(at, CHUNK_SIZE, MADV_DONTNEED);
		break;
	default:
		munmap(at, CHUNK_SIZE);
	}
}

void act_memory(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	struct world *world = caller->world;

	if (choice_rarely(choice, 8)) {
		/* The result does not matter: a file that is shorter is the point. */
		if (ftruncate(world->files[choice_below(choice, WORLD_FILES)],
			      (off_t)(choice_below(choice, 2) ? FILE_SIZE :
								choice_below(choice, 64) * 1000)))
			return;
		return;
	}
	act_remap(caller, world->arena + choice_below(choice, CHUNKS) * CHUNK_SIZE);
}

/* ---- contexts ---- */

static void ctx_replace(struct caller *caller, struct world_ctx *ctx, int fd)
{
	if (fd < 0)
		return;
	fd = atomic_exchange(&ctx->fd, fd);
	iommufd_close(caller->world->proc, fd);
}

static void ctx_look(struct caller *caller, int fd)
{
	struct iommufd_ctx *ctx;
	char why[200];

	if (iommufd_ctx_from_fd(caller->world->proc, fd, &ctx))
		return;
	if (iommufd_ctx_check(ctx, why, sizeof(why)))
		atomic_store(&caller->world->unsound, true);
	iommufd_ctx_put(ctx);
}

void act_contexts(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	struct world *world = caller->world;
	struct world_ctx *ctx = pick_ctx(caller);
	u32 n = choice_below(choice, 16);

	caller_begin(caller, "open, dup, close or check of a context");
	if (n < 8)
		ctx_look(caller, ctx->fd);
	else if (n < 13)
		ctx_replace(caller, ctx, iommufd_dup(world->proc, ctx->fd));
	else
		ctx_replace(caller, ctx,
			    iommufd_open(world->proc, n < 15 ? "/dev/iommu" : "/dev/vfio/vfio",
					 O_RDWR | O_CLOEXEC));
	caller_end(caller);
}

/* ---- everything ---- */

void program_step(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	u32 n = choice_below(choice, 64);

	caller->hostile = choice_rarely(choice, 4);
	if (n >= 60)
		iommufd_fail_nth_set(1 + choice_below(choice, 32));
	if (n < 50 || n >= 60)
		call_run(caller, call_pick(caller));
	else if (n < 54)
		act_files(caller);
	else if (n < 56)
		act_maps(caller);
	else if (n < 58)
		act_memory(caller);
	else if (n < 59)
		act_contexts(caller);
	else
		scene_make(caller);
	iommufd_fail_nth_set(0);
}
