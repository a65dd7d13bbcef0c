/* SPDX-License-Identifier: MIT */
/*
 * What others see of an area while it is being filled or torn down.  The slow
 * part of both happens under the lock of the area's pages; a thread that holds
 * that lock stops another in the middle of its command.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "harness.h"

#include "ioas/area.h"
#include "ioas/ioas.h"

/** struct halted - a command of another thread that is stopped half way */
struct halted {
	struct bed *bed;
	pthread_t thread, holder;
	sem_t held, enough;
	struct iopt_pages *pages; /* whose lock the holder has */
	u32 ioas, source;
	u64 iova;
	s64 rc;
};

static struct iommufd_ioas *ioas_of(struct bed *bed, u32 id)
{
	struct iommufd_ioas *ioas;
	struct iommufd_ctx *ctx;

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &ctx), 0);
	assert_int_equal(ioas_get(ctx, id, &ioas), 0);
	ioas_put(ctx, ioas); /* the bed keeps it */
	iommufd_ctx_put(ctx);
	return ioas;
}

static struct iopt_area *area_of(struct bed *bed, u32 ioas_id, u64 iova)
{
	struct iommufd_ioas *ioas = ioas_of(bed, ioas_id);
	struct rangemap_entry e;
	struct iopt_area *area = NULL;

	read_lock(&ioas->iopt.iova_rwsem);
	if (rangemap_find(&ioas->iopt.areas, iova, &e))
		area = e.value;
	read_unlock(&ioas->iopt.iova_rwsem);
	return area;
}

static void *hold(void *arg)
{
	struct halted *h = arg;

	mutex_lock(&h->pages->mutex);
	sem_post(&h->held);
	sem_wait(&h->enough);
	mutex_unlock(&h->pages->mutex);
	return NULL;
}

static void halt(struct halted *h, struct iopt_area *shows, void *(*fn)(void *))
{
	struct iopt_area *area;

	assert_non_null(shows);
	h->pages = pages_get(shows->pages);
	sem_init(&h->held, 0, 0);
	sem_init(&h->enough, 0, 0);
	assert_int_equal(pthread_create(&h->holder, NULL, hold, h), 0);
	sem_wait(&h->held);
	assert_int_equal(pthread_create(&h->thread, NULL, fn, h), 0);
	while (!(area = area_of(h->bed, h->ioas, h->iova)) || area_usable(area))
		usleep(100);
}

static void go_on(struct halted *h)
{
	sem_post(&h->enough);
	pthread_join(h->holder, NULL);
	pthread_join(h->thread, NULL);
	pages_put(h->pages);
}

/* Others must not use the area, and must not get its iova. */
static void expect_in_flight(struct bed *bed, u32 ioas, u64 iova, int access)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	u64 chosen = 0;
	char byte;

	assert_int_equal(map_at(bed, ioas, bed->mem, PAGE_SIZE, iova), -EEXIST);
	assert_int_equal(unmap(bed, ioas, iova, 2 * PAGE_SIZE), -EBUSY);
	assert_int_equal(unmap(bed, ioas, iova, PAGE_SIZE), -EBUSY); /* before ENOENT */
	assert_int_equal(unmap_all(bed, ioas), -EBUSY);
	assert_int_equal(copy_at(bed, ioas, iova + 0x100000, ioas, iova, PAGE_SIZE), -ENOENT);
	assert_int_equal(access_rw(bed, access, iova, &byte, 1, 0), -ENOENT);
	assert_int_equal(access_pin(bed, access, iova, PAGE_SIZE, NULL, false), -ENOENT);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &change), -EBUSY);
	assert_int_equal(add_reserved(bed, ioas, iova, PAGE_SIZE), -EADDRINUSE);
	assert_int_equal(map_flags(bed, ioas, bed->mem + PAGE_SIZE, PAGE_SIZE, &chosen, RW), 0);
	assert_true(chosen >= iova + 2 * PAGE_SIZE || chosen < iova);
	assert_int_equal(unmap(bed, ioas, chosen, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(object_kill(bed, ioas), -EBUSY);
}

static void *do_unmap(void *arg)
{
	struct halted *h = arg;

	h->rc = unmap(h->bed, h->ioas, h->iova, 2 * PAGE_SIZE);
	return NULL;
}

static void an_area_being_torn_down_is_in_nobodys_hands(void **state)
{
	struct bed *bed = *state;
	struct halted h = { .bed = bed, .ioas = bed->ioas, .iova = BED_IOVA };
	int access = (int)access_new_pinning(bed, bed->ioas), fd = memfd_of(2, 0);

	device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 2 * PAGE_SIZE, BED_IOVA), 0);
	halt(&h, area_of(bed, bed->ioas, BED_IOVA), do_unmap);
	expect_in_flight(bed, bed->ioas, BED_IOVA, access);
	assert_sound(bed); /* it looks at nothing in flight */
	go_on(&h);
	assert_int_equal(h.rc, 2 * PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	close(fd);
}

static void *do_copy(void *arg)
{
	struct halted *h = arg;

	h->rc = copy_at(h->bed, h->ioas, h->iova, h->source, 0x1000, 2 * PAGE_SIZE);
	return NULL;
}

static void an_area_being_filled_is_in_nobodys_hands(void **state)
{
	struct bed *bed = *state;
	struct halted h = { .bed = bed, .ioas = bed->ioas, .iova = BED_IOVA };
	int access = (int)access_new_pinning(bed, bed->ioas), fd = memfd_of(2, 0);
	struct device_ids ids;

	h.source = (u32)ioas_new(bed);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, h.source, fd, 0, 2 * PAGE_SIZE, 0x1000), 0);
	halt(&h, area_of(bed, h.source, 0x1000), do_copy);
	expect_in_flight(bed, bed->ioas, BED_IOVA, access);
	go_on(&h);
	assert_int_equal(h.rc, 0);
	assert_int_not_equal(check_map(bed, ids.hwpt, BED_IOVA, bed->mem, PAGE_SIZE), 0);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	close(fd);
}

static void *do_unmap_dma(void *arg)
{
	struct halted *h = arg;
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .iova = h->iova,
						  .size = PAGE_SIZE };
	long rc = bed_ioctl(h->bed, VFIO_IOMMU_UNMAP_DMA, &cmd);

	return (void *)(rc ? rc : (long)cmd.size);
}

/* Linux says EBUSY; a cut of ours excludes whoever fills or empties domains, and so waits. */
static void a_cut_waits_for_areas_in_flight(void **state)
{
	struct bed *bed = *state;
	struct halted h = { .bed = bed, .ioas = bed->ioas, .iova = BED_IOVA };
	pthread_t cutter;
	void *rc;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2 * PAGE_SIZE, BED_IOVA), 0);
	halt(&h, area_of(bed, bed->ioas, BED_IOVA), do_unmap);
	assert_int_equal(pthread_create(&cutter, NULL, do_unmap_dma, &h), 0);
	usleep(20000);
	assert_int_equal(pthread_tryjoin_np(cutter, &rc), EBUSY);
	go_on(&h);
	pthread_join(cutter, &rc);
	assert_int_equal(h.rc, 2 * PAGE_SIZE);
	assert_null(rc); /* nothing is left there, which is no error */
}

/* What is made behind the walk of an UNMAP survives it. */
static void unmap_only_moves_forward(void **state)
{
	struct bed *bed = *state;
	struct halted h = { .bed = bed, .ioas = bed->ioas, .iova = BED_IOVA + PAGE_SIZE };

	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA + PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA + 2 * PAGE_SIZE), 0);
	halt(&h, area_of(bed, bed->ioas, h.iova), do_unmap);
	/* ahead of the walk and behind it */
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA + 2 * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA + 2 * PAGE_SIZE), 0);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	go_on(&h);
	assert_int_equal(h.rc, 2 * PAGE_SIZE);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(an_area_being_torn_down_is_in_nobodys_hands),
		bed_test(an_area_being_filled_is_in_nobodys_hands),
		bed_test(a_cut_waits_for_areas_in_flight),
		bed_test(unmap_only_moves_forward),
	};

	return cmocka_run_group_tests_name("ioas_in_flight", tests, NULL, NULL);
}
