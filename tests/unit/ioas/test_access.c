/* SPDX-License-Identifier: MIT */
/*
 * Accesses as a driver in this process makes them: attach, replace, detach,
 * pin, read and write, and the callback before memory goes.
 */
#include "harness.h"

#include "ioas/access.h"

/**
 * struct driver - an emulated device
 * @calls: of the callback; @iova, @length: of the latest
 * @pinned: what it unpins when it is told to (@lazy: it does not)
 * @in_callback: run inside the callback
 */
struct driver {
	struct bed *bed;
	struct iommufd_ctx *ctx;
	struct iommufd_access *access;
	u32 id;
	int calls;
	u64 iova, length;
	u64 pinned_iova, pinned_length;
	bool lazy;
	void (*in_callback)(struct driver *driver);
};

static void driver_unmap(void *data, u64 iova, u64 length)
{
	struct driver *driver = data;

	driver->calls++;
	driver->iova = iova;
	driver->length = length;
	if (driver->in_callback)
		driver->in_callback(driver);
	if (!driver->lazy && driver->pinned_length) {
		iommufd_access_unpin_pages(driver->access, driver->pinned_iova,
					   driver->pinned_length);
		driver->pinned_length = 0;
	}
}

static const struct iommufd_access_ops pin_ops = { .needs_pin_pages = true, .unmap = driver_unmap };
static const struct iommufd_access_ops rw_ops = { .unmap = driver_unmap };
static const struct iommufd_access_ops deaf_ops = { .needs_pin_pages = true };

static struct driver driver_unattached(struct bed *bed, const struct iommufd_access_ops *ops)
{
	struct driver driver = { .bed = bed };

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &driver.ctx), 0);
	assert_int_equal(iommufd_access_create(driver.ctx, ops, NULL, &driver.id, &driver.access),
			 0);
	return driver;
}

/* The callback's data is known only now that the struct is where it stays. */
static void driver_attach(struct driver *driver)
{
	driver->access->data = driver;
	assert_int_equal(iommufd_access_attach(driver->access, driver->bed->ioas), 0);
}

static void driver_end(struct driver *driver)
{
	driver->in_callback = NULL;
	driver->lazy = false;
	driver->access->data = driver;
	iommufd_access_destroy(driver->access);
	iommufd_ctx_put(driver->ctx);
}

static long pin(struct driver *driver, u64 iova, u64 length, unsigned int flags)
{
	phys_addr_t pages[BED_PAGES];

	return iommufd_access_pin_pages(driver->access, iova, length, pages, flags);
}

/* ---- which ioas ---- */

static void attach_and_replace_meet_their_rows_in_order(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;
	u32 other = (u32)ioas_new(bed), crooked = (u32)ioas_new(bed);
	char byte;

	assert_int_equal(map_at(bed, crooked, bed->mem, 100, 0), 0);
	assert_int_equal(pin(&driver, 0, 0, 0), -EINVAL);
	assert_int_equal(pin(&driver, UINT64_MAX, 2, 0), -EOVERFLOW);
	assert_int_equal(pin(&driver, 0, 1, 0), -ENOENT);
	assert_int_equal(iommufd_access_rw(driver.access, 0, &byte, 0, 0), -EINVAL);
	assert_int_equal(iommufd_access_rw(driver.access, UINT64_MAX, &byte, 2, 0), -EOVERFLOW);
	assert_int_equal(iommufd_access_rw(driver.access, 0, &byte, 1, 0), -ENOENT);
	assert_int_equal(iommufd_access_replace(driver.access, bed->ioas), -ENOENT);
	assert_int_equal(iommufd_access_attach(driver.access, NO_ID), -ENOENT);
	assert_int_equal(iommufd_access_attach(driver.access, driver.id), -ENOENT);
	assert_int_equal(iommufd_access_attach(driver.access, crooked), -EADDRINUSE);
	assert_int_equal(ioas_alignment(bed, crooked), 1);
	driver_attach(&driver);
	assert_int_equal(ioas_alignment(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(iommufd_access_attach(driver.access, NO_ID), -EINVAL);
	assert_int_equal(iommufd_access_replace(driver.access, NO_ID), -ENOENT);
	assert_int_equal(iommufd_access_replace(driver.access, crooked), -EADDRINUSE);
	assert_int_equal(iommufd_access_replace(driver.access, bed->ioas), 0);
	assert_int_equal(driver.calls, 0);
	assert_int_equal(iommufd_access_replace(driver.access, other), 0);
	assert_int_equal(driver.calls, 1);
	assert_true(driver.iova == 0 && driver.length == UINT64_MAX);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
	assert_int_equal(object_kill(bed, bed->ioas), 0);
	assert_int_equal(object_kill(bed, other), -EBUSY);
	assert_int_equal(object_kill(bed, driver.id), -EBUSY);
	iommufd_access_detach(driver.access);
	assert_int_equal(driver.calls, 2);
	iommufd_access_detach(driver.access);
	assert_int_equal(driver.calls, 2);
	assert_int_equal(object_kill(bed, other), 0);
	driver_end(&driver);
}

static void tries_while_leaving(struct driver *driver)
{
	char byte;

	driver->in_callback = NULL;
	assert_int_equal(iommufd_access_attach(driver->access, driver->bed->ioas), -EBUSY);
	assert_int_equal(iommufd_access_replace(driver->access, driver->bed->ioas), -ENOENT);
	assert_int_equal(pin(driver, 0, PAGE_SIZE, 0), -ENOENT);
	assert_int_equal(iommufd_access_rw(driver->access, 0, &byte, 1, 0), -ENOENT);
	iommufd_access_detach(driver->access); /* under way already */
}

static void while_a_detach_runs_only_unpin_works(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(pin(&driver, 0, PAGE_SIZE, 0), 0);
	driver.pinned_length = PAGE_SIZE;
	driver.in_callback = tries_while_leaving;
	iommufd_access_detach(driver.access);
	assert_int_equal(driver.calls, 1);
	assert_int_equal(driver.pinned_length, 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	driver_end(&driver);
}

static void destroying_detaches_and_calls_back(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(pin(&driver, 0, 1, 0), 0);
	driver.pinned_length = 1;
	driver_end(&driver);
	assert_int_equal(driver.calls, 1);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(ioas_new(bed), driver.id);
}

static void an_access_keeps_its_context_open(void **state)
{
	struct bed *bed = *state;
	struct driver driver = driver_unattached(bed, &rw_ops);
	char byte = 0;

	driver_attach(&driver);
	bed->mem[0] = 7;
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(iommufd_close(bed->proc, bed->fd), 0);
	assert_int_equal(iommufd_access_rw(driver.access, 0, &byte, 1, 0), 0);
	assert_int_equal(byte, 7);
	driver_end(&driver);
	bed_open(bed);
}

/* ---- pins ---- */

static void pin_meets_the_rows_of_each_area_in_order(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct driver plain = driver_unattached(*state, &rw_ops);
	struct bed *bed = *state;
	u32 ioas = bed->ioas;
	u64 iova;

	driver_attach(&driver);
	driver_attach(&plain);
	assert_int_equal(pin(&plain, 0, 0, 0), -EINVAL);
	assert_int_equal(pin(&plain, 0, 1, 0), -EINVAL);

	iova = 0;
	assert_int_equal(map_flags(bed, ioas, bed->mem, PAGE_SIZE, &iova, FIXED | RO), 0);
	iova = PAGE_SIZE;
	assert_int_equal(map_flags(bed, ioas, bed->mem, PAGE_SIZE, &iova, FIXED | WO), 0);
	assert_int_equal(pin(&driver, 1, 1, 1), -EINVAL); /* within the page: before EPERM */
	assert_int_equal(pin(&driver, 0, 1, 1), -EPERM);
	assert_int_equal(pin(&driver, 0, 1, 0), 0);
	iommufd_access_unpin_pages(driver.access, 0, 1);
	assert_int_equal(pin(&driver, 0, 2 * PAGE_SIZE, 0), -EPERM); /* of the second area */
	assert_int_equal(pin(&driver, PAGE_SIZE, 2 * PAGE_SIZE, 0), -EPERM); /* before the hole */
	assert_int_equal(pin(&driver, PAGE_SIZE, 2 * PAGE_SIZE, 1), -ENOENT);
	assert_int_equal(pin(&driver, 3 * PAGE_SIZE, 1, 1), -ENOENT);
	/* nothing of the failed ones is left, and the areas are free to go */
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(unmap_all(bed, ioas), 2 * PAGE_SIZE);
	assert_int_equal(driver.calls, 0);

	assert_int_equal(map_at(bed, ioas, NOWHERE, PAGE_SIZE, 0), 0);
	assert_int_equal(pin(&driver, 0, 2 * PAGE_SIZE, 0), -EFAULT); /* before the hole */
	driver_end(&plain);
	driver_end(&driver);
}

/* A pinning access makes areas page aligned, so their joints are page borders. */
static void a_pin_runs_over_the_joint_of_two_areas(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;
	u64 iova = BED_IOVA;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 2048, PAGE_SIZE, iova), -EINVAL);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, iova), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 4 * PAGE_SIZE, 2 * PAGE_SIZE,
				iova + PAGE_SIZE), 0);
	assert_int_equal(pin(&driver, iova, PAGE_SIZE + 1, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem, PAGE_SIZE, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem + PAGE_SIZE, 3 * PAGE_SIZE, 0), 0);
	assert_int_equal(check_refs(bed, bed->mem + 4 * PAGE_SIZE, PAGE_SIZE, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem + 5 * PAGE_SIZE, PAGE_SIZE, 0), 0);
	iommufd_access_unpin_pages(driver.access, iova, PAGE_SIZE + 1);
	driver_end(&driver);
}

/* A copy checks only its sum, so its joints may lie inside a page: there a pin cannot pass. */
static void a_pin_does_not_run_over_a_joint_inside_a_page(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;
	u32 source = (u32)ioas_new(bed);
	struct device_ids ids = { 0 };

	driver_attach(&driver);
	assert_int_equal(map_at(bed, source, bed->mem, 1024, 0), 0);
	assert_int_equal(map_at(bed, source, bed->mem + PAGE_SIZE, 3072, 1024), 0);
	assert_int_equal(copy_at(bed, bed->ioas, BED_IOVA, source, 0, PAGE_SIZE), 0);
	assert_sound(bed);
	assert_int_equal(pin(&driver, BED_IOVA, PAGE_SIZE, 1), -EINVAL);
	assert_int_equal(pin(&driver, BED_IOVA, 1025, 1), -EINVAL);
	assert_int_equal(pin(&driver, BED_IOVA, 1024, 1), 0);
	assert_int_equal(pin(&driver, BED_IOVA + 1024, 3072, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem, 2 * PAGE_SIZE, 1), 0);
	iommufd_access_unpin_pages(driver.access, BED_IOVA, 1024);
	iommufd_access_unpin_pages(driver.access, BED_IOVA + 1024, 3072);
	/* no domain can carry such areas */
	assert_int_not_equal(device_new(bed, bed->ioas, &ids), 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	driver_end(&driver);
}

static void pins_nest_and_overlap(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new_pinning(bed, bed->ioas);
	struct device_ids ids;
	long pins[6];

	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 8 * PAGE_SIZE, BED_IOVA), 0);
	pins[0] = access_pin(bed, access, BED_IOVA, 4 * PAGE_SIZE, bed->mem, true);
	pins[1] = access_pin(bed, access, BED_IOVA, 4 * PAGE_SIZE, bed->mem, false);
	pins[2] = access_pin(bed, access, BED_IOVA + 2 * PAGE_SIZE, 4 * PAGE_SIZE,
			     bed->mem + 2 * PAGE_SIZE, true);
	ids = device_attached(bed, bed->ioas);
	pins[3] = access_pin(bed, access, BED_IOVA, 8 * PAGE_SIZE, bed->mem, true);
	pins[4] = access_pin(bed, access, BED_IOVA + 3 * PAGE_SIZE, 100, bed->mem + 3 * PAGE_SIZE,
			     true);
	for (int i = 0; i < 5; i++)
		assert_int_equal(pins[i], i);
	assert_int_equal(check_refs(bed, bed->mem, 8 * PAGE_SIZE, 1), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 8);
	assert_sound(bed);
	assert_int_equal(access_unpin(bed, access, 3), 0);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	assert_int_equal(check_refs(bed, bed->mem, 6 * PAGE_SIZE, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem + 6 * PAGE_SIZE, 2 * PAGE_SIZE, 0), 0);
	assert_int_equal(access_unpin(bed, access, 0), 0);
	assert_int_equal(check_refs(bed, bed->mem, 6 * PAGE_SIZE, 1), 0);
	assert_int_equal(access_unpin(bed, access, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem, 2 * PAGE_SIZE, 0), 0);
	assert_int_equal(access_unpin(bed, access, 2), 0);
	assert_int_equal(check_refs(bed, bed->mem + 3 * PAGE_SIZE, PAGE_SIZE, 1), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 1);
	assert_int_equal(access_unpin(bed, access, 4), 0);
	assert_int_equal(access_unpin(bed, access, 4), -ENOENT);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

static void a_pin_shows_the_page_a_domain_holds(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new_pinning(bed, bed->ioas), fd = memfd_of(2, 0);
	char *mem =
		mmap(bed->mem, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	char *first = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, mem, PAGE_SIZE, BED_IOVA), 0);
	mmap(mem, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, PAGE_SIZE);
	assert_int_equal(access_pin(bed, access, BED_IOVA, PAGE_SIZE, mem, true), -EBADE);
	assert_int_equal(access_pin(bed, access, BED_IOVA, PAGE_SIZE, first, true), 0);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	munmap(first, PAGE_SIZE);
	munmap(mem, PAGE_SIZE);
	close(fd);
}

/* ---- before memory goes ---- */

static void unmap_asks_every_access_for_its_pins(void **state)
{
	struct driver holder = driver_unattached(*state, &pin_ops);
	struct driver other = driver_unattached(*state, &rw_ops);
	struct bed *bed = *state;

	driver_attach(&holder);
	driver_attach(&other);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4 * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 8 * PAGE_SIZE), 0);
	assert_int_equal(pin(&holder, 2 * PAGE_SIZE, PAGE_SIZE, 1), 0);
	holder.pinned_iova = 2 * PAGE_SIZE;
	holder.pinned_length = PAGE_SIZE;
	assert_int_equal(unmap_all(bed, bed->ioas), 5 * PAGE_SIZE);
	/* with the whole area, also those that hold nothing; the unpinned area asks nobody */
	assert_true(holder.calls == 1 && other.calls == 1);
	assert_true(holder.iova == PAGE_SIZE && holder.length == 4 * PAGE_SIZE);
	assert_true(other.iova == PAGE_SIZE && other.length == 4 * PAGE_SIZE);
	driver_end(&other);
	driver_end(&holder);
}

static void tries_on_the_closing_area(struct driver *driver)
{
	char byte;

	driver->in_callback = NULL;
	assert_int_equal(pin(driver, 0, PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(iommufd_access_rw(driver->access, 0, &byte, 1, 0), -EINVAL);
	assert_int_equal(iommufd_access_rw(driver->access, PAGE_SIZE, &byte, 1, 0), 0);
	assert_int_equal(map_at(driver->bed, driver->bed->ioas, driver->bed->mem, 1, 0), -EINVAL);
	assert_int_equal(map_at(driver->bed, driver->bed->ioas, driver->bed->mem, PAGE_SIZE, 0),
			 -EEXIST);
}

static void an_area_about_to_go_takes_no_new_users(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(pin(&driver, 0, PAGE_SIZE, 1), 0);
	driver.pinned_length = PAGE_SIZE;
	driver.in_callback = tries_on_the_closing_area;
	assert_int_equal(unmap(bed, bed->ioas, 0, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(driver.calls, 1);
	driver_end(&driver);
}

static void a_driver_that_never_unpins_is_given_up_on(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;
	char byte;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(pin(&driver, 0, PAGE_SIZE, 1), 0);
	driver.pinned_length = PAGE_SIZE;
	driver.lazy = true;
	assert_int_equal(unmap(bed, bed->ioas, 0, PAGE_SIZE), -EDEADLK);
	assert_true(driver.calls == 100 || driver.calls == 101);
	/* it stays mapped, and closed */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), -EEXIST);
	assert_int_equal(iommufd_access_rw(driver.access, 0, &byte, 1, 0), -EINVAL);
	driver.lazy = false;
	assert_int_equal(unmap(bed, bed->ioas, 0, PAGE_SIZE), PAGE_SIZE);
	driver_end(&driver);
}

static void a_driver_without_a_callback_blocks_unmap(void **state)
{
	struct driver driver = driver_unattached(*state, &deaf_ops);
	struct bed *bed = *state;

	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(pin(&driver, 0, PAGE_SIZE, 1), 0);
	assert_int_equal(unmap_all(bed, bed->ioas), -EDEADLK);
	iommufd_access_unpin_pages(driver.access, 0, PAGE_SIZE);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	driver_end(&driver);
}

static void internal_accesses_lock_what_they_pin(void **state)
{
	struct driver other = driver_unattached(*state, &rw_ops);
	struct bed *bed = *state;
	struct iommufd_access *queue;
	struct iommufd_object *obj;
	phys_addr_t page;

	driver_attach(&other);
	assert_int_equal(access_create_internal(other.ctx, &queue), 0);
	assert_int_equal(object_get(other.ctx, bed->ioas, IOMMUFD_OBJ_IOAS, &obj), 0);
	assert_int_equal(access_attach_internal(queue, container_of(obj, struct iommufd_ioas, obj)),
			 0);
	assert_int_equal(access_attach_internal(queue, container_of(obj, struct iommufd_ioas, obj)),
			 -EINVAL);
	object_put(other.ctx, obj);
	assert_int_equal(ioas_alignment(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2 * PAGE_SIZE, 0), 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, 2 * PAGE_SIZE), 0);
	assert_int_equal(iommufd_access_pin_pages(queue, 0, PAGE_SIZE, &page, 0), 0);
	assert_int_equal(unmap(bed, bed->ioas, 0, PAGE_SIZE), -EBUSY); /* before ENOENT */
	assert_int_equal(unmap(bed, bed->ioas, 0, 3 * PAGE_SIZE), -EBUSY);
	assert_int_equal(unmap(bed, bed->ioas, 2 * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(other.calls, 0);
	iommufd_access_unpin_pages(queue, 0, PAGE_SIZE);
	access_destroy_internal(other.ctx, queue);
	assert_int_equal(unmap_all(bed, bed->ioas), 2 * PAGE_SIZE);
	driver_end(&other);
}

/* ---- reading and writing ---- */

static void rw_moves_the_prefix_before_a_hole(void **state)
{
	struct bed *bed = *state;
	struct driver driver = driver_unattached(bed, &rw_ops);
	char buf[64];
	u64 iova = 100;

	driver_attach(&driver);
	memset(buf, 'x', sizeof(buf));
	memset(bed->mem, 0, 64);
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem, 10, &iova, FIXED | WO), 0);
	iova = 110;
	assert_int_equal(map_flags(bed, bed->ioas, bed->mem + 10, 10, &iova, FIXED | RO), 0);
	assert_int_equal(iommufd_access_rw(driver.access, 90, buf, 64, 1), -ENOENT);
	assert_int_equal(iommufd_access_rw(driver.access, 105, buf, 64, 1), -EPERM);
	assert_memory_equal(bed->mem, "\0\0\0\0\0xxxxx\0\0", 12);
	assert_int_equal(iommufd_access_rw(driver.access, 105, buf, 1, 0), -EPERM);
	assert_int_equal(iommufd_access_rw(driver.access, 115, buf, 6, 0), -ENOENT);
	assert_int_equal(buf[4], 0);
	assert_int_equal(buf[5], 'x');
	driver_end(&driver);
}

static void rw_of_any_alignment_agrees_on_every_path(void **state)
{
	struct bed *bed = *state;
	const u32 paths[] = { 0, MOCK_ACCESS_RW_SLOW_PATH };
	int access = (int)access_new(bed, bed->ioas, 0);
	unsigned char in[3 * PAGE_SIZE], out[3 * PAGE_SIZE];
	u64 seed = 1, offset, length;

	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 77, 20 * PAGE_SIZE, 1234567), 0);
	for (int i = 0; i < 300; i++) {
		offset = random_below(&seed, 16 * PAGE_SIZE);
		length = 1 + random_below(&seed, i % 3 ? 100 : sizeof(in));
		for (u64 j = 0; j < length; j++)
			in[j] = (unsigned char)random_next(&seed);
		assert_int_equal(access_rw(bed, access, 1234567 + offset, in, length,
					   MOCK_ACCESS_RW_WRITE | paths[i % 2]), 0);
		assert_memory_equal(bed->mem + 77 + offset, in, length);
		memset(out, 0, length);
		assert_int_equal(access_rw(bed, access, 1234567 + offset, out, length,
					   paths[i / 2 % 2]), 0);
		assert_memory_equal(in, out, length);
	}
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

/*
 * The owner's own view is the present address; from elsewhere several pages are read as the
 * domains hold them.
 */
static void the_fast_path_follows_the_address_and_the_slow_one_the_pages(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new(bed, bed->ioas, 0), fd = memfd_of(4, 0);
	char *mem = mmap(bed->mem, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0);
	char buf[2 * PAGE_SIZE];

	memset(mem, 'a', 2 * PAGE_SIZE);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, mem, 2 * PAGE_SIZE, BED_IOVA), 0);
	mmap(mem, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE_SIZE);
	memset(mem, 'b', 2 * PAGE_SIZE);
	assert_int_equal(access_rw(bed, access, BED_IOVA, buf, sizeof(buf), 0), 0);
	assert_int_equal(buf[PAGE_SIZE], 'b');
	assert_int_equal(
		access_rw(bed, access, BED_IOVA, buf, sizeof(buf), MOCK_ACCESS_RW_SLOW_PATH), 0);
	assert_int_equal(buf[PAGE_SIZE], 'a');
	munmap(mem, 2 * PAGE_SIZE);
	/* unmapped memory is an error, never a crash */
	assert_int_equal(access_rw(bed, access, BED_IOVA, buf, sizeof(buf), 0), -EFAULT);
	assert_int_equal(access_rw(bed, access, BED_IOVA, buf, 1, MOCK_ACCESS_RW_WRITE), -EFAULT);
	assert_int_equal(
		access_rw(bed, access, BED_IOVA, buf, sizeof(buf), MOCK_ACCESS_RW_SLOW_PATH), 0);
	assert_int_equal(buf[0], 'a');
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	close(fd);
}

/* Held and not held pages side by side: each as it is. */
static void the_slow_path_stops_borrowing_where_held_pages_begin(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new_pinning(bed, bed->ioas), fd = memfd_of(6, 0);
	char *mem = mmap(bed->mem, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0);
	char buf[3 * PAGE_SIZE];

	memset(mem, 'a', 3 * PAGE_SIZE);
	assert_int_equal(map_at(bed, bed->ioas, mem, 3 * PAGE_SIZE, 0), 0);
	assert_int_equal(access_pin(bed, access, PAGE_SIZE, PAGE_SIZE, mem + PAGE_SIZE, true), 0);
	mmap(mem, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 3 * PAGE_SIZE);
	memset(mem, 'b', 3 * PAGE_SIZE);
	assert_int_equal(access_rw(bed, access, 0, buf, sizeof(buf), MOCK_ACCESS_RW_SLOW_PATH), 0);
	assert_true(buf[0] == 'b' && buf[PAGE_SIZE] == 'a' && buf[2 * PAGE_SIZE] == 'b');
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	munmap(mem, 3 * PAGE_SIZE);
	close(fd);
}

/* A thread of the kernel, so to speak: it reads as the owner does. */
static void a_kernel_thread_reads_at_the_present_address(void **state)
{
	struct bed *bed = *state;
	struct driver driver = driver_unattached(bed, &rw_ops);
	int fd = memfd_of(4, 0);
	char *mem = mmap(bed->mem, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0);
	char buf[2 * PAGE_SIZE];

	memset(mem, 'a', 2 * PAGE_SIZE);
	device_attached(bed, bed->ioas);
	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, mem, 2 * PAGE_SIZE, BED_IOVA), 0);
	mmap(mem, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE_SIZE);
	memset(mem, 'b', 2 * PAGE_SIZE);
	assert_int_equal(iommufd_access_rw(driver.access, BED_IOVA, buf, sizeof(buf),
					   IOMMUFD_ACCESS_RW_KTHREAD), 0);
	assert_true(buf[0] == 'b' && buf[PAGE_SIZE] == 'b');
	assert_int_equal(iommufd_access_rw(driver.access, BED_IOVA, buf, sizeof(buf), 0), 0);
	assert_true(buf[0] == 'a' && buf[PAGE_SIZE] == 'a');
	driver_end(&driver);
	munmap(mem, 2 * PAGE_SIZE);
	close(fd);
}

/* ---- limits ---- */

#define MOST_ACCESSES 65536U

static void an_ioas_has_room_for_65536_accesses(void **state)
{
	struct bed *bed = *state;
	struct driver driver = driver_unattached(bed, &deaf_ops);
	struct iommufd_access **all = test_calloc(MOST_ACCESSES, sizeof(*all));
	u32 id;

	for (u32 i = 0; i < MOST_ACCESSES; i++) {
		assert_int_equal(iommufd_access_create(driver.ctx, &deaf_ops, NULL, &id, &all[i]),
				 0);
		assert_int_equal(iommufd_access_attach(all[i], bed->ioas), 0);
	}
	assert_int_equal(iommufd_access_attach(driver.access, bed->ioas), -EBUSY);
	iommufd_access_destroy(all[77]);
	assert_int_equal(iommufd_access_attach(driver.access, bed->ioas), 0);
	for (u32 i = 0; i < MOST_ACCESSES; i++)
		if (i != 77)
			iommufd_access_destroy(all[i]);
	test_free(all);
	driver_end(&driver);
}

static void a_closed_area_is_not_cut(void **state)
{
	struct driver driver = driver_unattached(*state, &pin_ops);
	struct bed *bed = *state;
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .iova = BED_IOVA,
						  .size = PAGE_SIZE };

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	driver_attach(&driver);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(pin(&driver, BED_IOVA, PAGE_SIZE, 0), 0);
	driver.pinned_iova = BED_IOVA;
	driver.pinned_length = PAGE_SIZE;
	driver.lazy = true;
	assert_int_equal(unmap_all(bed, bed->ioas), -EDEADLK);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), -EBUSY); /* before the pins */
	assert_int_equal(cmd.size, PAGE_SIZE);
	driver_end(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(attach_and_replace_meet_their_rows_in_order),
		bed_test(while_a_detach_runs_only_unpin_works),
		bed_test(destroying_detaches_and_calls_back),
		bed_test(an_access_keeps_its_context_open),
		bed_test(pin_meets_the_rows_of_each_area_in_order),
		bed_test(a_pin_runs_over_the_joint_of_two_areas),
		bed_test(a_pin_does_not_run_over_a_joint_inside_a_page),
		bed_test(pins_nest_and_overlap),
		bed_test_trusted(pins_nest_and_overlap),
		bed_test(a_pin_shows_the_page_a_domain_holds),
		bed_test(unmap_asks_every_access_for_its_pins),
		bed_test(an_area_about_to_go_takes_no_new_users),
		bed_test(a_driver_that_never_unpins_is_given_up_on),
		bed_test(a_driver_without_a_callback_blocks_unmap),
		bed_test(internal_accesses_lock_what_they_pin),
		bed_test(rw_moves_the_prefix_before_a_hole),
		bed_test(rw_of_any_alignment_agrees_on_every_path),
		bed_test_scattered(rw_of_any_alignment_agrees_on_every_path),
		bed_test_trusted(rw_of_any_alignment_agrees_on_every_path),
		bed_test(the_slow_path_stops_borrowing_where_held_pages_begin),
		bed_test(the_fast_path_follows_the_address_and_the_slow_one_the_pages),
		bed_test(a_kernel_thread_reads_at_the_present_address),
		bed_test(an_ioas_has_room_for_65536_accesses),
		bed_test(a_closed_area_is_not_cut),
	};

	return cmocka_run_group_tests_name("ioas_access", tests, NULL, NULL);
}
