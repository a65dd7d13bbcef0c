/* SPDX-License-Identifier: MIT */
/*
 * Beginning, end and tables of a world.
 *
 * The library writes where it is told to, so a program made of random numbers
 * must not name memory that belongs to anything else: all addresses it uses lie
 * in one region, reserved at an address where the system never puts anything
 * by itself.  Holes may then be real holes.
 */
#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <iommufd/mock.h>

#include "core/system.h"
#include "mem/mem.h"

/* TSan allows other places than ASan does; both leave these to programs. */
#if defined(__SANITIZE_THREAD__)
#define REGION_ADDR 0x1000000000UL
#else
#define REGION_ADDR 0x200000000000UL
#endif
#define REGION_SIZE (64UL << 30) /* a dirty bitmap of a far range ends in here */
#define ARENA_OFFSET (1UL << 20)
#define SCRATCH_OFFSET (64UL << 20)
#define SCRATCH_STRIDE (1UL << 20)

/* Random lengths are asked of malloc(), which says no; that is no bug to report. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- beginning ---- */

static void world_log(void *data, enum iommufd_log_level level, const char *line)
{
	struct world *world = data;

	fprintf(stderr, "library: %s\n", line);
	atomic_store(&world->unsound, true);
}

static int world_memory(struct world *world)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	unsigned int i;

	world->region = mmap((void *)REGION_ADDR, REGION_SIZE, PROT_NONE, flags, -1, 0);
	if (world->region == MAP_FAILED)
		return -1;
	world->arena = world->region + ARENA_OFFSET;
	if (mprotect(world->arena, ARENA_SIZE, PROT_READ | PROT_WRITE))
		return -1;
	for (i = 0; i < WORLD_FILES; i++) {
		world->files[i] = memfd_create("world", MFD_CLOEXEC);
		if (world->files[i] < 0 || ftruncate(world->files[i], FILE_SIZE))
			return -1;
	}
	return 0;
}

static int world_open(struct world *world)
{
	unsigned int i, j;
	int fd;

	for (i = 0; i < WORLD_CONTEXTS; i++) {
		fd = iommufd_open(world->proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -1;
		world->contexts[i].fd = fd;
	}
	for (i = 0; i < FD_COUNT; i++)
		for (j = 0; j < WORLD_RING; j++)
			world->fds[i][j] = -1;
	return 0;
}

int world_begin(struct world *world, enum iommufd_frame_policy frames)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts),
		.selftest = true,
		.frames = frames,
		.log = world_log,
		.log_data = world,
		.log_level = IOMMUFD_LOG_WARN,
	};

	memset(world, 0, sizeof(*world));
	if (world_memory(world) || iommufd_system_create(&opts, &world->system) ||
	    iommufd_mock_init(world->system) ||
	    iommufd_process_create(world->system, &world->proc) || world_open(world)) {
		perror("world_begin");
		return -1;
	}
	return 0;
}

/* ---- end ---- */

void world_note(struct world *world, unsigned int row, long rc)
{
	if (world->outcome)
		world->outcome(world->outcome_data, row, rc);
}

int world_check(struct world *world)
{
	struct iommufd_ctx *ctx;
	char why[256] = "";
	unsigned int i;

	for (i = 0; i < WORLD_CONTEXTS; i++) {
		if (iommufd_ctx_from_fd(world->proc, world->contexts[i].fd, &ctx))
			continue;
		if (iommufd_ctx_check(ctx, why, sizeof(why))) {
			fprintf(stderr, "context unsound: %s\n", why);
			atomic_store(&world->unsound, true);
		}
		iommufd_ctx_put(ctx);
	}
	return atomic_load(&world->unsound) ? -1 : 0;
}

const char *world_end(struct world *world)
{
	const char *wrong = NULL;
	unsigned int i;

	world_check(world);
	iommufd_process_destroy(world->proc);
	if (mem_space_pins(world->system->mem))
		wrong = "pages are still pinned";
	else if (!cds_list_empty(&world->system->contexts))
		wrong = "a context is still open";
	else
		wrong = mem_space_check(world->system->mem);
	iommufd_system_destroy(world->system);
	for (i = 0; i < WORLD_RING; i++)
		free(world->maps[i]);
	for (i = 0; i < WORLD_FILES; i++)
		close(world->files[i]);
	munmap(world->region, REGION_SIZE);
	if (!wrong && atomic_load(&world->unsound))
		wrong = "the library complained";
	return wrong;
}

/* ---- callers ---- */

void caller_init(struct caller *caller, struct world *world, unsigned int index)
{
	caller->world = world;
	caller->scratch = world->region + SCRATCH_OFFSET + index * SCRATCH_STRIDE;
	if (mprotect(caller->scratch, SCRATCH_SIZE, PROT_READ | PROT_WRITE))
		abort();
}

void caller_begin(struct caller *caller, const char *doing)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store_explicit(&caller->since_ms,
			      (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000,
			      memory_order_relaxed);
	atomic_store_explicit(&caller->doing, doing, memory_order_release);
}

void caller_end(struct caller *caller)
{
	atomic_store_explicit(&caller->doing, NULL, memory_order_release);
}

/* ---- tables ---- */

void world_put_id(struct caller *caller, struct world_ctx *ctx, enum kind kind, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd) };
	u32 slot = atomic_fetch_add(&ctx->next[kind], 1) % WORLD_RING;

	cmd.id = atomic_exchange(&ctx->ids[kind][slot], id);
	if (!cmd.id || cmd.id == id)
		return;
	caller_begin(caller, "IOMMU_DESTROY of the oldest");
	iommufd_ioctl(caller->world->proc, ctx->fd, IOMMU_DESTROY, &cmd);
	caller_end(caller);
}

void world_put_fd(struct caller *caller, enum fd_kind kind, int fd)
{
	struct world *world = caller->world;
	u32 slot = atomic_fetch_add(&world->next_fd[kind], 1) % WORLD_RING;

	fd = atomic_exchange(&world->fds[kind][slot], fd);
	if (fd < 0)
		return;
	caller_begin(caller, "close of the oldest");
	iommufd_close(world->proc, fd);
	caller_end(caller);
}

void world_put_map(struct caller *caller, void *addr, size_t length)
{
	struct world *world = caller->world;
	u32 slot = atomic_fetch_add(&world->next_map, 1) % WORLD_RING;
	struct world_map *map = malloc(sizeof(*map));

	if (!map)
		abort();
	map->addr = addr;
	map->length = length;
	map = atomic_exchange(&world->maps[slot], map);
	if (!map)
		return;
	caller_begin(caller, "munmap of the oldest");
	iommufd_munmap(world->proc, map->addr, map->length);
	caller_end(caller);
	free(map);
}

struct world_ctx *pick_ctx(struct caller *caller)
{
	/* Most of what happens should meet in one context. */
	u32 n = choice_below(&caller->choice, 2 * WORLD_CONTEXTS);

	return &caller->world->contexts[n < WORLD_CONTEXTS ? n : 0];
}

u32 pick_n(struct caller *caller, u32 ordinary, u32 limit)
{
	return choice_below(&caller->choice, caller->hostile ? limit : ordinary);
}

u32 pick_id(struct caller *caller, struct world_ctx *ctx, enum kind kind)
{
	static const u32 odd[] = { 0, 1, 2, INT32_MAX, 0x80000000, UINT32_MAX };
	struct choice *choice = &caller->choice;
	/* 0 .. 239: age in the ring; the newest ones most often */
	u32 n = pick_n(caller, 240, 256);

	if (n >= 250)
		return odd[n - 250];
	if (n >= 240)
		kind = (enum kind)choice_below(choice, KIND_COUNT);
	n %= 2 * WORLD_RING;
	if (n >= WORLD_RING)
		n = 0;
	return ctx->ids[kind][(ctx->next[kind] - 1 - n) % WORLD_RING];
}

int pick_fd(struct caller *caller, enum fd_kind kind)
{
	struct world *world = caller->world;
	u32 n = pick_n(caller, 58, 64);

	if (n >= 62)
		return n == 62 ? world->contexts[0].fd : -1;
	if (n >= 58)
		kind = (enum fd_kind)(n - 58);
	return world->fds[kind][(world->next_fd[kind] - 1 - n % WORLD_RING) % WORLD_RING];
}

u64 pick_iova(struct caller *caller, struct world_ctx *ctx)
{
	static const u64 odd[] = {
		0, 1, MOCK_APERTURE_START - PAGE_SIZE, MOCK_APERTURE_LAST, MOCK_APERTURE_LAST + 1UL,
		1UL << 32, 1UL << 38, 1UL << 63, ~0UL, ~0UL << 12, ~0UL << 12 | 0x7ff,
		MOCK_APERTURE_LAST - PAGE_SIZE + 1, 1UL << 20, (1UL << 20) * 17,
	};
	struct choice *choice = &caller->choice;
	u32 n = pick_n(caller, 220, 256);

	caller->iova_slot = WORLD_RING;
	if (n < 128) /* a page of a small part of what the mock translates */
		return MOCK_APERTURE_START + (n % 64) * PAGE_SIZE;
	if (n < 200) {
		caller->iova_slot = n % WORLD_RING;
		return ctx->iovas[caller->iova_slot];
	}
	if (n < 220)
		return MOCK_APERTURE_START + (n - 200) * (PAGE_SIZE / 2);
	if (n < 220 + ARRAY_SIZE(odd))
		return odd[n - 220];
	if (n < 250)
		return ctx->iovas[n % WORLD_RING] + PAGE_SIZE * (n - 230);
	return choice_raw(choice, n == 255 ? 8 : 5);
}

u64 pick_mapped_va(struct caller *caller, struct world_ctx *ctx)
{
	if (caller->iova_slot == WORLD_RING || choice_rarely(&caller->choice, 8))
		return pick_va(caller);
	return ctx->vas[caller->iova_slot];
}

u64 pick_length(struct caller *caller)
{
	static const u64 odd[] = {
		0, 1, 2047, 2048, 4095, 4097, 1UL << 20, 1UL << 21, 1UL << 31, 1UL << 32, 1UL << 63,
		~0UL, ~0UL << 12, 3 * 2048, 1UL << 38,
	};
	u32 n = pick_n(caller, 224, 256);

	if (n < 224)
		return (n < 160 ? n % 8 + 1 : n % 32 + 1) * PAGE_SIZE;
	if (n < 224 + ARRAY_SIZE(odd))
		return odd[n - 224];
	return choice_raw(&caller->choice, n == 255 ? 8 : 4);
}

u64 pick_va(struct caller *caller)
{
	struct world *world = caller->world;
	struct choice *choice = &caller->choice;
	u32 n = pick_n(caller, CHUNKS * 8, 256);

	if (n < CHUNKS * 8)
		return (uintptr_t)world->arena + n * PAGE_SIZE;
	if (n < 232)
		return (uintptr_t)world->arena + choice_raw(choice, 4) % ARENA_SIZE;
	return pick_pointer(caller, world->arena);
}

u64 pick_pointer(struct caller *caller, const void *good)
{
	const struct world *world = caller->world;
	const u64 odd[] = {
		0, 1, (uintptr_t)world->region, (uintptr_t)caller->scratch + SCRATCH_SIZE - 4,
		(uintptr_t)caller->scratch + SCRATCH_SIZE, 1UL << 47, (1UL << 47) - PAGE_SIZE,
		~0UL, ~0UL << 12, 1UL << 63, (uintptr_t)world->arena + ARENA_SIZE - 1,
		(uintptr_t)world->arena, (uintptr_t)good + 1,
	};
	u32 n = caller->hostile ? choice_below(&caller->choice, 256) : 0;

	if (n < 256 - ARRAY_SIZE(odd))
		return (uintptr_t)good;
	return odd[n - (256 - ARRAY_SIZE(odd))];
}
