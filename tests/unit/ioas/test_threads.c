/* SPDX-License-Identifier: MIT */
/*
 * Many threads on one address space.  Each does a bounded number of random
 * steps and accepts only the errors its neighbours can cause; afterwards the
 * checker reads everything, and nothing may be left.
 */
#include <pthread.h>
#include <stdlib.h>

#include "harness.h"

#define THREADS 4
#define SLOTS 40
#define STEPS (BED_SLOW ? 600 : 3000)

struct worker {
	pthread_t thread;
	struct bed *bed;
	u32 ioas, other;
	u32 idev;  /* to allocate hwpts with */
	int fd;    /* memory */
	u64 seed;
	u32 number;
	u32 wins;
	const char *unexpected;
	long errno_seen;
	_Atomic u32 *done;
};

static u64 slot_iova(struct worker *w)
{
	return BED_IOVA + random_below(&w->seed, SLOTS) * PAGE_SIZE;
}

/* cmocka's asserts are for one thread: remember the first surprise instead. */
static void expect(struct worker *w, const char *what, long rc, const int *allowed)
{
	if (rc >= 0 || w->unexpected)
		return;
	for (; *allowed; allowed++)
		if (rc == -*allowed)
			return;
	w->unexpected = what;
	w->errno_seen = rc;
}

#define EXPECT(w, what, rc, ...) expect(w, what, rc, (const int[]){ __VA_ARGS__, 0 })

static void worker_start(struct worker *w, void *(*fn)(void *))
{
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	if (w->unexpected)
		fail_msg("%s: %ld", w->unexpected, w->errno_seen);
}

/* ---- steps ---- */

static void step_map(struct worker *w)
{
	u64 n = 1 + random_below(&w->seed, 4), va = random_below(&w->seed, BED_PAGES - n), iova = 0;
	u32 ioas = random_below(&w->seed, 2) ? w->ioas : w->other;

	if (random_below(&w->seed, 2))
		EXPECT(w, "map", map_at(w->bed, ioas, w->bed->mem + va * PAGE_SIZE, n * PAGE_SIZE,
					slot_iova(w)), EEXIST);
	else
		EXPECT(w, "map anywhere", map_flags(w->bed, ioas, w->bed->mem + va * PAGE_SIZE,
						    n * PAGE_SIZE, &iova, RW), ENOSPC);
}

static void step_map_file(struct worker *w)
{
	EXPECT(w, "map file", map_file_at(w->bed, w->ioas, w->fd,
					  random_below(&w->seed, 6) * PAGE_SIZE, 2 * PAGE_SIZE,
					  slot_iova(w)), EEXIST);
}

static void step_unmap(struct worker *w)
{
	u64 n = 1 + random_below(&w->seed, 8);

	EXPECT(w, "unmap",
	       unmap(w->bed, random_below(&w->seed, 2) ? w->ioas : w->other, slot_iova(w),
		     n * PAGE_SIZE),
	       ENOENT, EBUSY);
	if (!random_below(&w->seed, 20))
		EXPECT(w, "unmap all", unmap_all(w->bed, w->ioas), EBUSY);
}

static void step_copy(struct worker *w)
{
	u64 n = 1 + random_below(&w->seed, 3);

	EXPECT(w, "copy",
	       copy_at(w->bed, w->other, slot_iova(w), w->ioas, slot_iova(w), n * PAGE_SIZE),
	       ENOENT, EEXIST);
	EXPECT(w, "copy back",
	       copy_at(w->bed, w->ioas, slot_iova(w), w->other, slot_iova(w), PAGE_SIZE), ENOENT,
	       EEXIST);
}

static void step_cut(struct worker *w)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .iova = slot_iova(w), .size = PAGE_SIZE
	};

	EXPECT(w, "unmap dma", bed_ioctl(w->bed, VFIO_IOMMU_UNMAP_DMA, &cmd), EBUSY, EINVAL,
	       ENOENT);
}

static void step_change_process(struct worker *w)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	EXPECT(w, "change process", bed_ioctl(w->bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EBUSY,
	       EINVAL);
}

static void step_dirty(struct worker *w, u32 hwpt)
{
	unsigned char bits[SLOTS];
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set), .flags = 1, .hwpt_id = hwpt,
	};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = hwpt,
		.iova = BED_IOVA,
		.length = SLOTS * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.data = (uintptr_t)bits,
	};

	memset(bits, 0, sizeof(bits));
	EXPECT(w, "set dirty", bed_ioctl(w->bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), ENOENT);
	EXPECT(w, "get dirty", bed_ioctl(w->bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), ENOENT);
}

static void step_device(struct worker *w)
{
	struct device_ids ids = { 0 };
	long rc = device_new(w->bed, w->ioas, &ids);

	EXPECT(w, "attach", rc, EBUSY);
	if (!rc)
		EXPECT(w, "detach", object_kill(w->bed, ids.stdev), EBUSY);
}

static void step_hwpt(struct worker *w)
{
	long id = hwpt_new(w->bed, w->idev, w->other, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);

	EXPECT(w, "hwpt", id, EBUSY);
	if (id > 0) {
		step_dirty(w, (u32)id);
		EXPECT(w, "destroy hwpt", object_kill(w->bed, (u32)id), EBUSY);
	}
}

static void step_access(struct worker *w, int access)
{
	char buf[2 * PAGE_SIZE];
	u64 iova = slot_iova(w), n = 1 + random_below(&w->seed, 3);
	long pin = access_pin(w->bed, access, iova, n * PAGE_SIZE, NULL, true);

	EXPECT(w, "pin", pin, ENOENT, EINVAL);
	EXPECT(w, "read", access_rw(w->bed, access, slot_iova(w), buf, sizeof(buf),
				    random_below(&w->seed, 2) ? MOCK_ACCESS_RW_SLOW_PATH : 0),
	       ENOENT, EINVAL);
	if (pin >= 0 && random_below(&w->seed, 2))
		EXPECT(w, "unpin", access_unpin(w->bed, access, (u32)pin), ENOENT);
	if (!random_below(&w->seed, 50))
		EXPECT(w, "move",
		       access_move(w->bed, access, random_below(&w->seed, 2) ? w->ioas : w->other),
		       ENOENT);
}

static void *mixed_work(void *arg)
{
	struct worker *w = arg;
	long access = access_new_pinning(w->bed, w->ioas);

	EXPECT(w, "access", access, ENFILE);
	for (u32 i = 0; i < STEPS && !w->unexpected; i++) {
		switch (random_below(&w->seed, 16)) {
		case 0 ... 3:
			step_map(w);
			break;
		case 4:
			step_map_file(w);
			break;
		case 5 ... 7:
			step_unmap(w);
			break;
		case 8 ... 9:
			step_copy(w);
			break;
		case 10:
			step_cut(w);
			break;
		case 11:
			step_change_process(w);
			break;
		case 12:
			if (!random_below(&w->seed, 4))
				step_device(w);
			break;
		case 13:
			if (!random_below(&w->seed, 4))
				step_hwpt(w);
			break;
		default:
			step_access(w, (int)access);
		}
	}
	if (access >= 0)
		iommufd_close(w->bed->proc, (int)access);
	return NULL;
}

static void everything_at_once(struct bed *bed, bool cuts)
{
	struct worker workers[THREADS] = { 0 };
	u32 other = (u32)ioas_new(bed), elsewhere = (u32)ioas_new(bed);
	/* what is chosen must not lie in the way of a device that comes later */
	struct iommu_iova_range slots = { BED_IOVA, BED_IOVA + SLOTS * PAGE_SIZE - 1 };
	struct device_ids ids = device_attached(bed, elsewhere);
	int fd = memfd_of(8, 0);

	if (cuts) {
		assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
		assert_int_equal(option_huge_set(bed, other, 0), 0);
	}
	assert_int_equal(allow_iovas(bed, bed->ioas, &slots, 1), 0);
	assert_int_equal(allow_iovas(bed, other, &slots, 1), 0);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	for (u32 i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .bed = bed, .ioas = bed->ioas, .other = other,
					      .idev = ids.idev, .fd = fd, .seed = 100 + i };
		worker_start(&workers[i], mixed_work);
	}
	for (u32 i = 0; i < THREADS; i++)
		worker_join(&workers[i]);
	assert_sound(bed);
	assert_true(unmap_all(bed, bed->ioas) >= 0);
	assert_true(unmap_all(bed, other) >= 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(object_kill(bed, other), 0);
	close(fd);
}

static void threads_do_everything_at_once(void **state)
{
	everything_at_once(*state, false);
}

static void threads_do_everything_and_cut(void **state)
{
	everything_at_once(*state, true);
}

/* ---- one winner ---- */

static void *race_for_one_iova(void *arg)
{
	struct worker *w = arg;
	long rc;

	for (u32 i = 0; i < STEPS; i++) {
		rc = map_at(w->bed, w->ioas, w->bed->mem, PAGE_SIZE, BED_IOVA + i * PAGE_SIZE);
		EXPECT(w, "map", rc, EEXIST);
		w->wins += !rc;
	}
	return NULL;
}

static void of_overlapping_maps_exactly_one_wins(void **state)
{
	struct bed *bed = *state;
	struct worker workers[THREADS] = { 0 };
	u32 wins = 0;

	device_attached(bed, bed->ioas);
	for (u32 i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .bed = bed, .ioas = bed->ioas };
		worker_start(&workers[i], race_for_one_iova);
	}
	for (u32 i = 0; i < THREADS; i++) {
		worker_join(&workers[i]);
		wins += workers[i].wins;
	}
	assert_int_equal(wins, STEPS);
	assert_int_equal(unmap_all(bed, bed->ioas), STEPS * PAGE_SIZE);
}

/* ---- an attach among maps ---- */

static void *map_many(void *arg)
{
	struct worker *w = arg;

	for (u32 i = 0; i < STEPS; i++)
		EXPECT(w, "map",
		       map_at(w->bed, w->ioas, w->bed->mem + i % BED_PAGES * PAGE_SIZE, PAGE_SIZE,
			      BED_IOVA + (i * THREADS + w->number) * PAGE_SIZE),
		       ENOMEM);
	atomic_fetch_add(w->done, 1);
	return NULL;
}

static void a_new_domain_misses_no_map_made_meanwhile(void **state)
{
	struct bed *bed = *state;
	struct worker workers[THREADS - 1] = { 0 };
	_Atomic u32 done = 0;
	struct device_ids ids;

	for (u32 i = 0; i < THREADS - 1; i++) {
		workers[i] = (struct worker){
			.bed = bed, .ioas = bed->ioas, .number = i, .done = &done
		};
		worker_start(&workers[i], map_many);
	}
	ids = device_attached(bed, bed->ioas);
	for (u32 i = 0; i < THREADS - 1; i++)
		worker_join(&workers[i]);
	for (u32 i = 0; i < STEPS; i++)
		for (u32 k = 0; k < THREADS - 1; k++)
			assert_int_equal(check_map(bed, ids.hwpt,
						   BED_IOVA + (i * THREADS + k) * PAGE_SIZE,
						   bed->mem + i % BED_PAGES * PAGE_SIZE, PAGE_SIZE),
					 0);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
}

/* ---- accesses come and go while memory goes ---- */

static void *open_and_close_accesses(void *arg)
{
	struct worker *w = arg;

	for (u32 i = 0; i < STEPS / 2; i++) {
		long access = access_new_pinning(w->bed, w->ioas);

		EXPECT(w, "access", access, ENFILE);
		EXPECT(w, "pin", access_pin(w->bed, (int)access, BED_IOVA, PAGE_SIZE, NULL, true),
		       ENOENT, EINVAL);
		iommufd_close(w->bed->proc, (int)access);
	}
	atomic_fetch_add(w->done, 1);
	return NULL;
}

static void *map_and_unmap_until_done(void *arg)
{
	struct worker *w = arg;

	while (atomic_load(w->done) < THREADS - 1) {
		EXPECT(w, "map", map_at(w->bed, w->ioas, w->bed->mem, PAGE_SIZE, BED_IOVA), EEXIST);
		EXPECT(w, "unmap", unmap(w->bed, w->ioas, BED_IOVA, PAGE_SIZE), ENOENT);
	}
	return NULL;
}

static void callbacks_and_the_end_of_accesses_do_not_meet(void **state)
{
	struct bed *bed = *state;
	struct worker workers[THREADS] = { 0 };
	_Atomic u32 done = 0;

	for (u32 i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .bed = bed, .ioas = bed->ioas, .done = &done };
		worker_start(&workers[i], i ? open_and_close_accesses : map_and_unmap_until_done);
	}
	for (u32 i = 0; i < THREADS; i++)
		worker_join(&workers[i]);
	assert_true(unmap_all(bed, bed->ioas) >= 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
}

/* ---- a buffer is taken back while it is mapped ---- */

static void *map_buffers(void *arg)
{
	struct worker *w = arg;

	for (u32 i = 0; i < STEPS; i++) {
		EXPECT(w, "map buffer",
		       map_file_at(w->bed, w->ioas, w->fd, 0, PAGE_SIZE, slot_iova(w)), EEXIST,
		       ENODEV);
		EXPECT(w, "copy buffer",
		       copy_at(w->bed, w->ioas, slot_iova(w), w->ioas, slot_iova(w), PAGE_SIZE),
		       EEXIST, ENOENT);
		EXPECT(w, "unmap buffer", unmap(w->bed, w->ioas, slot_iova(w), 4 * PAGE_SIZE),
		       ENOENT, EBUSY);
	}
	atomic_fetch_add(w->done, 1);
	return NULL;
}

static void revoking_races_with_mapping(void **state)
{
	struct bed *bed = *state;
	struct worker workers[2] = { 0 };
	_Atomic u32 done = 0;
	struct device_ids ids;
	int fd = (int)dmabuf_new(bed, PAGE_SIZE);

	device_attached(bed, bed->ioas);
	for (u32 i = 0; i < 2; i++) {
		workers[i] = (struct worker){
			.bed = bed, .ioas = bed->ioas, .fd = fd, .seed = i, .done = &done
		};
		worker_start(&workers[i], map_buffers);
	}
	for (u32 i = 0; atomic_load(&done) < 2; i++) {
		assert_int_equal(dmabuf_take_back(bed, fd, i % 4 == 0), 0);
		if (i % 8 == 0) {
			ids = device_attached(bed, bed->ioas);
			assert_int_equal(object_kill(bed, ids.stdev), 0);
		}
	}
	for (u32 i = 0; i < 2; i++)
		worker_join(&workers[i]);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(threads_do_everything_at_once),
		bed_test_scattered(threads_do_everything_at_once),
		bed_test(threads_do_everything_and_cut),
		bed_test_trusted(threads_do_everything_and_cut),
		bed_test(of_overlapping_maps_exactly_one_wins),
		bed_test(a_new_domain_misses_no_map_made_meanwhile),
		bed_test(callbacks_and_the_end_of_accesses_do_not_meet),
		bed_test(revoking_races_with_mapping),
	};

	return cmocka_run_group_tests_name("ioas_threads", tests, NULL, NULL);
}
