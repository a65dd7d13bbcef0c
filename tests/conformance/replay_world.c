/* SPDX-License-Identifier: MIT */
/*
 * The world replay's calls act on: memory at fixed addresses, files, contexts,
 * and what is known of their objects so that most calls name something real.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay.h"

/* ---- memory and files ---- */

static void map_at(uint64_t address, size_t pages, int prot, int flags, int fd)
{
	void *memory = mmap((void *)address, pages * PAGE, PROT_READ | PROT_WRITE,
			    flags | MAP_FIXED, fd, 0);

	if (memory == MAP_FAILED)
		_exit(4);
	/* each page differs, and has come into being */
	if (flags & MAP_ANONYMOUS || fd >= 0) {
		for (size_t at = 0; at < pages * PAGE; at += 8)
			*(volatile uint64_t *)(address + at) = address + at;
	}
	if (prot != (PROT_READ | PROT_WRITE))
		mprotect(memory, pages * PAGE, prot);
}

static void memory_build(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_ANONYMOUS | MAP_PRIVATE;

	map_at(ARG_AT, 2, rw, anon, -1);
	map_at(ARG_READONLY, 1, PROT_READ, anon, -1);
	map_at(DATA_AT, DATA_SIZE / PAGE, rw, anon, -1);
	map_at(SHARED_AT, BUFFER_PAGES, rw, MAP_ANONYMOUS | MAP_SHARED, -1);
	map_at(PRIVATE_AT, BUFFER_PAGES, rw, anon, -1);
	map_at(READONLY_AT, 8, PROT_READ, anon, -1);
	map_at(NO_ACCESS_AT, 4, PROT_NONE, anon, -1);
	map_at(HOLEY_AT, 8, rw, anon, -1);
	map_at(FILE_AT, FILE_PAGES, rw, MAP_SHARED, world->files[0]);
	if (mmap((void *)BIG_AT, BIG_PAGES * PAGE, rw, MAP_SHARED | MAP_FIXED, world->big_file,
		 0) == MAP_FAILED)
		_exit(4);
	munmap((void *)(HOLEY_AT + 4 * PAGE), PAGE);
}

static int sealed_memory(unsigned int seal)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	if (ftruncate(fd, FILE_PAGES * PAGE) ||
	    fcntl(fd, F_ADD_SEALS, seal | F_SEAL_SHRINK | F_SEAL_GROW))
		_exit(4);
	return fd;
}

static void odd_files_build(void)
{
	int *odd = world->odd_files, ends[2];
	char first[32];

	snprintf(first, sizeof(first), "/proc/self/fd/%d", world->files[0]);
	*odd++ = open(first, O_RDONLY);
	*odd++ = open(first, O_WRONLY);
	*odd++ = open(first, O_PATH);
	*odd++ = dup(world->files[0]);
	*odd++ = sealed_memory(F_SEAL_WRITE);
	*odd++ = sealed_memory(F_SEAL_FUTURE_WRITE);
	*odd++ = open("/", O_RDONLY | O_DIRECTORY);
	*odd++ = open("/dev/zero", O_RDWR);
	*odd++ = open("/proc/self/exe", O_RDONLY);
	*odd++ = eventfd(0, 0);
	if (pipe(ends))
		_exit(4);
	*odd++ = ends[0];
}

static void files_build(void)
{
	for (unsigned int i = 0; i < FILES; i++)
		world->files[i] = -1;
	world->files[0] = memfd_create("a", 0);
	world->files[1] = memfd_create("b", MFD_CLOEXEC);
	world->files[2] = open("/dev/null", O_RDWR);
	world->big_file = memfd_create("big", 0);
	if (ftruncate(world->files[0], FILE_PAGES * PAGE) || ftruncate(world->files[1], 5000) ||
	    ftruncate(world->big_file, BIG_PAGES * PAGE))
		_exit(4);
	odd_files_build();
}

/* The privileges that change how pinned memory is counted. */
#define PRIVILEGES (1u << CAP_IPC_LOCK | 1u << CAP_SYS_RESOURCE)

bool privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	return !syscall(SYS_capget, &header, data) &&
	       (data[0].effective & PRIVILEGES) == PRIVILEGES;
}

void privileges_set(bool ipc_lock, bool resource)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	data[0].effective &= ~PRIVILEGES;
	data[0].effective |= (ipc_lock ? 1u << CAP_IPC_LOCK : 0) |
			     (resource ? 1u << CAP_SYS_RESOURCE : 0);
	syscall(SYS_capset, &header, data);
}

void memlock_set(unsigned int pages)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = pages * PAGE;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* Whether children can be somebody else: not where root is root of a user namespace only. */
bool others_exist(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setresuid(1000, 1000, 1000) || getuid() != 1000);
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static void privileges_drop(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_max < 128 * PAGE) {
		limit.rlim_max = 128 * PAGE;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	memlock_set(48);
	privileges_set(false, false);
}

/* ---- what a seed starts with ---- */

static void scene_device(struct context *ctx, uint32_t flags)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, .id = 1 };

	cmd.mock_domain_flags.dev_flags = flags;
	say("device");
	call_plainly(ctx->fd, IOMMU_TEST_CMD, &cmd, sizeof(cmd));
	note_id(ctx, STDEV, cmd.mock_domain.out_stdev_id);
	note_id(ctx, IDEV, cmd.mock_domain.out_idev_id);
	note_id(ctx, HWPT, cmd.mock_domain.out_hwpt_id);
	say_line();
}

/* A page table that remembers what was written, for the first device. */
static void scene_dirty(struct context *ctx)
{
	struct iommu_hwpt_alloc hwpt = {
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING, .dev_id = ctx->ids[IDEV][0], .pt_id = 1,
	};
	struct iommu_hwpt_set_dirty_tracking track = { .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };

	say("dirty");
	call_plainly(ctx->fd, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt));
	note_id(ctx, HWPT, hwpt.out_hwpt_id);
	note_id(ctx, DIRTY_HWPT, hwpt.out_hwpt_id);
	track.hwpt_id = hwpt.out_hwpt_id;
	call_plainly(ctx->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &track, sizeof(track));
	say_line();
}

/* The last device behind it, and fit for PASIDs. */
static void scene_nested(struct context *ctx, const struct iommu_viommu_alloc *viommu)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc nested = {
		.flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = viommu->dev_id,
		.pt_id = viommu->out_viommu_id, .data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
	};
	struct iommu_test_cmd replace = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE };

	memcpy((void *)DATA_AT, &data, sizeof(data));
	nested.data_uptr = DATA_AT;
	say("nested");
	call_plainly(ctx->fd, IOMMU_HWPT_ALLOC, &nested, sizeof(nested));
	note_id(ctx, NESTED, nested.out_hwpt_id);
	replace.id = ctx->ids[STDEV][ctx->n_ids[STDEV] - 1];
	replace.mock_domain_replace.pt_id = nested.out_hwpt_id;
	call_plainly(ctx->fd, IOMMU_TEST_CMD, &replace, sizeof(replace));
	say_line();
}

/* A vIOMMU on a nesting parent, with an identity for the last device. */
static void scene_viommu(struct context *ctx)
{
	struct iommu_hwpt_alloc hwpt = {
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, .pt_id = 1,
		.dev_id = ctx->ids[IDEV][ctx->n_ids[IDEV] - 1],
	};
	struct iommu_viommu_alloc viommu = {
		.type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = hwpt.dev_id,
	};
	struct iommu_vdevice_alloc vdevice = { .dev_id = hwpt.dev_id, .virt_id = 0x99 };

	say("viommu");
	call_plainly(ctx->fd, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt));
	note_id(ctx, HWPT, hwpt.out_hwpt_id);
	viommu.hwpt_id = hwpt.out_hwpt_id;
	call_plainly(ctx->fd, IOMMU_VIOMMU_ALLOC, &viommu, sizeof(viommu));
	note_id(ctx, VIOMMU, viommu.out_viommu_id);
	vdevice.viommu_id = viommu.out_viommu_id;
	call_plainly(ctx->fd, IOMMU_VDEVICE_ALLOC, &vdevice, sizeof(vdevice));
	note_id(ctx, VDEVICE, vdevice.out_vdevice_id);
	note_id(ctx, PASID_HWPT, hwpt.out_hwpt_id);
	say_line();
	scene_nested(ctx, &viommu);
}

static void scene_build(struct context *ctx, unsigned int scene)
{
	/* of the machine, not of the context */
	struct iommu_test_cmd limit = { .op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT };
	struct iommu_vfio_ioas vfio = { .op = IOMMU_VFIO_IOAS_SET, .ioas_id = 1 };

	limit.memory_limit.limit = 65536;
	say("limit");
	call_plainly(ctx->fd, IOMMU_TEST_CMD, &limit, sizeof(limit));
	say_line();
	if (!scene)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		struct iommu_ioas_alloc ioas = { 0 };
		struct iommu_option option = { .option_id = IOMMU_OPTION_HUGE_PAGES };

		say("ioas");
		call_plainly(ctx->fd, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
		note_id(ctx, IOAS, ioas.out_ioas_id);
		option.object_id = ioas.out_ioas_id;
		if (world->small_pages)
			call_plainly(ctx->fd, IOMMU_OPTION, &option, sizeof(option));
		say_line();
	}
	say("vfio");
	call_plainly(ctx->fd, IOMMU_VFIO_IOAS, &vfio, sizeof(vfio));
	say_line();
	if (scene < 2)
		return;
	scene_device(ctx, 0);
	if (world->small_pages)
		scene_dirty(ctx);
	if (!world->devices)
		return;
	scene_device(ctx, MOCK_FLAGS_DEVICE_PASID);
	if (scene == 3)
		scene_viommu(ctx);
}

void world_build(uint64_t seed)
{
	/* descriptors are numbered from 3 whoever started us */
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	if (mmap((void *)WORLD_AT, (sizeof(*world) + PAGE - 1) & ~(PAGE - 1),
		 PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		_exit(4);
	world->rng = seed;
	/* not a neighbour's sequence one step on */
	world->rng = random_u64();
	world->devices = seed % 2;
	world->small_pages = seed / 2 % 2;
	world->unprivileged = seed % 8 == 5;
	world->no_access = seed % 5 == 0;
	world->big_tables = seed % 3 == 0;
	say("seed %llu%s%s%s", (unsigned long long)seed, world->devices ? " devices" : "",
	    world->small_pages ? " small-pages" : "", world->unprivileged ? " unprivileged" : "");
	say_line();
	files_build();
	memory_build();
	for (unsigned int i = 0; i < ACCESSES; i++)
		world->accesses[i].fd = -1;
	for (unsigned int i = 0; i < EVENT_FDS; i++)
		world->events[i].fd = -1;
	for (unsigned int i = 0; i < CONTEXTS; i++)
		world->contexts[i].fd = -1;
	if (world->unprivileged)
		privileges_drop();
	context_open(&world->contexts[0], "/dev/iommu", O_RDWR);
	scene_build(&world->contexts[0], world->devices && seed / 4 % 4 < 2 ? 3 : seed / 4 % 4);
}

/* Pins of a page as the test command counts them; -1 if it is not there. */
static int pins_of(int fd, uint64_t va)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_MD_CHECK_REFS };

	cmd.check_refs.length = PAGE;
	cmd.check_refs.uptr = va;
	for (cmd.check_refs.refs = 0; cmd.check_refs.refs < 64; cmd.check_refs.refs++) {
		if (!ioctl(fd, IOMMU_TEST_CMD, &cmd))
			return cmd.check_refs.refs;
		if (errno != EIO)
			return -1;
	}
	return 64;
}

/* When all is closed nothing may be pinned any more. */
void world_close(void)
{
	static const uint64_t buffers[] = { SHARED_AT, PRIVATE_AT, FILE_AT };
	int fd;

	helper_end();
	for (unsigned int i = 0; i < ACCESSES; i++)
		close(world->accesses[i].fd);
	for (unsigned int i = 0; i < EVENT_FDS; i++)
		close(world->events[i].fd);
	if (world->mapped)
		munmap(world->mapped, world->mmap_length);
	for (unsigned int i = 0; i < CONTEXTS; i++) {
		if (world->contexts[i].fd >= 0)
			context_close(&world->contexts[i]);
	}
	fd = open("/dev/iommu", O_RDWR);
	say("end");
	for (unsigned int i = 0; i < 3; i++) {
		int pins = 0;

		for (unsigned int page = 0; page < FILE_PAGES; page++)
			pins += pins_of(fd, buffers[i] + page * PAGE);
		say(" pins %d", pins);
	}
	close(fd);
	say_line();
}

/* ---- contexts ---- */

void context_open(struct context *ctx, const char *path, int flags)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->fd = open(path, flags);
	ctx->charges_mm = path[5] == 'v';
}

void context_close(struct context *ctx)
{
	while (ctx->n_pasids) {
		struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_PASID_DETACH };

		ctx->n_pasids--;
		cmd.id = ctx->pasids[ctx->n_pasids].stdev;
		cmd.pasid_detach.pasid = ctx->pasids[ctx->n_pasids].pasid;
		say("detach %u of %u", cmd.pasid_detach.pasid, cmd.id);
		call_plainly(ctx->fd, IOMMU_TEST_CMD, &cmd, sizeof(cmd));
		say_line();
	}
	close(ctx->fd);
	ctx->fd = -1;
}

struct context *pick_context(void)
{
	struct context *ctx = &world->contexts[chance(92) ? 0 : 1];

	return ctx->fd >= 0 ? ctx : &world->contexts[0];
}

/* ---- ids ---- */

bool lacks(const struct context *ctx, enum kind kind)
{
	return !ctx->n_ids[kind] && chance(85);
}

uint32_t pick_id(struct context *ctx, enum kind kind)
{
	if (chance(4)) {
		kind = pick(KINDS);
	} else if (chance(2)) {
		return PICK(0, 3, 40, UINT32_MAX, ctx->dead_id);
	} else if (!ctx->n_ids[kind]) {
		return PICK(ctx->dead_id, 1, 2, 3);
	}
	if (!ctx->n_ids[kind])
		return 1;
	/* the newest ones rather than all alike, so that things meet */
	if (chance(50))
		return ctx->ids[kind][ctx->n_ids[kind] - 1];
	return ctx->ids[kind][pick(ctx->n_ids[kind])];
}

void note_id(struct context *ctx, enum kind kind, uint32_t id)
{
	for (unsigned int i = 0; i < ctx->n_ids[kind]; i++) {
		if (ctx->ids[kind][i] == id)
			return;
	}
	if (ctx->n_ids[kind] == IDS) {
		memmove(&ctx->ids[kind][0], &ctx->ids[kind][1], (IDS - 1) * sizeof(uint32_t));
		ctx->n_ids[kind]--;
	}
	ctx->ids[kind][ctx->n_ids[kind]++] = id;
}

void forget_id(struct context *ctx, uint32_t id)
{
	ctx->dead_id = id;
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		for (unsigned int i = 0; i < ctx->n_ids[kind]; i++) {
			if (ctx->ids[kind][i] == id)
				ctx->ids[kind][i--] = ctx->ids[kind][--ctx->n_ids[kind]];
		}
	}
	forget_area(ctx, id, 0, UMAX);
}

bool must_stay(const struct context *ctx, uint32_t id)
{
	for (unsigned int i = 0; i < ctx->n_pasids; i++) {
		if (ctx->pasids[i].stdev == id)
			return true;
	}
	for (unsigned int i = 0; i < ctx->n_second_queues; i++) {
		if (ctx->second_queues[i] == id)
			return true;
	}
	return false;
}

void note_pasid(struct context *ctx, uint32_t stdev, uint32_t pasid, bool attached)
{
	for (unsigned int i = 0; i < ctx->n_pasids; i++) {
		if (ctx->pasids[i].stdev == stdev && ctx->pasids[i].pasid == pasid)
			ctx->pasids[i--] = ctx->pasids[--ctx->n_pasids];
	}
	if (attached) {
		ctx->pasids[ctx->n_pasids].stdev = stdev;
		ctx->pasids[ctx->n_pasids++].pasid = pasid;
	}
}

const char *fd_name(int fd)
{
	static char names[4][16];
	static unsigned int next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%d", fd);
	for (unsigned int i = 0; fd >= 0 && i < ACCESSES; i++) {
		if (world->accesses[i].fd == fd)
			snprintf(name, sizeof(names[0]), "access%u", i);
	}
	for (unsigned int i = 0; fd >= 0 && i < FILES; i++) {
		if (world->files[i] == fd)
			snprintf(name, sizeof(names[0]), "file%u", i);
	}
	for (unsigned int i = 0; fd >= 0 && i < EVENT_FDS; i++) {
		if (world->events[i].fd == fd)
			snprintf(name, sizeof(names[0]), "events%u", i);
	}
	for (unsigned int i = 0; fd >= 0 && i < ODD_FILES; i++) {
		if (world->odd_files[i] == fd)
			snprintf(name, sizeof(names[0]), "odd%u", i);
	}
	if (fd == world->big_file)
		snprintf(name, sizeof(names[0]), "big");
	return name;
}

/* ---- areas and addresses ---- */

struct area *pick_area(struct context *ctx)
{
	return ctx->n_areas ? &ctx->areas[pick(ctx->n_areas)] : NULL;
}

struct area *pick_area_of(struct context *ctx, uint32_t ioas)
{
	struct area *area = pick_area(ctx);

	for (unsigned int i = 0; area && area->ioas != ioas && i < 6; i++)
		area = pick_area(ctx);
	return area;
}

void forget_area(struct context *ctx, uint32_t ioas, uint64_t iova, uint64_t length)
{
	for (unsigned int i = 0; i < ctx->n_areas; i++) {
		struct area *area = &ctx->areas[i];

		if (area->ioas == ioas && area->iova >= iova && area->iova - iova < length)
			ctx->areas[i--] = ctx->areas[--ctx->n_areas];
	}
}

void note_area(struct context *ctx, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t va)
{
	unsigned int at = ctx->n_areas < AREAS ? ctx->n_areas++ : pick(AREAS);

	ctx->areas[at] = (struct area){ ioas, iova, length, va };
}

uint64_t pick_iova(struct context *ctx)
{
	struct area *area;

	if (chance(70))
		return MOCK_APERTURE_START + pick(48) * PAGE;
	if (chance(50)) {
		area = pick_area(ctx);
		if (area)
			return area->iova + PICK(0, 0, area->length, area->length / 2, PAGE, UMAX);
	}
	if (chance(50))
		return MOCK_APERTURE_START + pick(96) * 2048;
	return PICK(0, PAGE, 5 * PAGE, 0x801, MOCK_APERTURE_START - PAGE,
		    MOCK_APERTURE_LAST + 1ULL - PAGE, MOCK_APERTURE_LAST + 1ULL,
		    MOCK_APERTURE_START + 1, 1ULL << 38, UMAX - PAGE + 1, UMAX - 1, UMAX);
}

uint64_t pick_length(void)
{
	if (chance(80))
		return (1 + pick(6)) * PAGE;
	if (chance(60))
		return PICK(2048, 3 * 2048, 16 * PAGE, 12 * PAGE);
	return PICK(0, 1, 100, 0x1801, 1ULL << 31, UMAX - PAGE, UMAX - PAGE + 1, UMAX - 1, UMAX);
}

uint64_t pick_va(void)
{
	uint64_t region;

	if (chance(75)) {
		region = PICK(SHARED_AT, PRIVATE_AT, FILE_AT);
		if (in_child && region == PRIVATE_AT)
			region = SHARED_AT;
		return region + pick(12) * PAGE + (chance(8) ? PICK(2048, 2048, 1, 0x801) : 0);
	}
	region = PICK(READONLY_AT, HOLEY_AT, HOLEY_AT, NO_ACCESS_AT, NOWHERE, READONLY_AT);
	if (region == NO_ACCESS_AT && !world->no_access)
		region = SHARED_AT;
	/* what was private to a process that is gone we cannot read any more */
	if (in_child && region != NO_ACCESS_AT)
		region = PICK(SHARED_AT, FILE_AT, NOWHERE);
	if (chance(8))
		return PICK(0, UMAX - PAGE + 1, UMAX, 1ULL << 63, UMAX - 4 * PAGE + 1);
	return region + pick(6) * PAGE + (chance(8) ? 2048 : 0);
}
