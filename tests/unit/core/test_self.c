/* SPDX-License-Identifier: MIT */
/*
 * This process as a program: descriptors, waiting, mappings, failures on
 * demand.
 */
#include "fake_rooms.h"

#include <fcntl.h>
#include <iommufd/uapi/iommufd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a file with every op ---- */

struct box {
	struct file file;
	_Atomic u32 items;  /* readable while there are any */
	u32 mapped;
	bool trapped;
	_Atomic u32 unmapped;
	_Atomic bool released;
	int memfd;
};

static ssize_t box_read(struct file *file, u64 ubuf, size_t count)
{
	struct box *box = container_of(file, struct box, file);
	u32 items = atomic_load(&box->items);

	if (!items)
		return 0;
	if (copy_to_user(ubuf, &items, sizeof(items)))
		return -EFAULT;
	atomic_fetch_sub(&box->items, 1);
	file_wake(file);
	return sizeof(items);
}

static unsigned int box_poll(struct file *file)
{
	return atomic_load(&container_of(file, struct box, file)->items) ? POLLIN | POLLRDNORM : 0;
}

static int box_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		    struct file_map *ret_map)
{
	struct box *box = container_of(file, struct box, file);

	if (offset || length != 4 * PAGE_SIZE)
		return -ENXIO;
	box->mapped++;
	*ret_map = (struct file_map){ .host_fd = box->memfd, .length = length, .cookie = box,
				      .trapped = box->trapped };
	return 0;
}

static void box_unmap(struct file *file, void *cookie)
{
	struct box *box = container_of(file, struct box, file);

	assert_ptr_equal(cookie, box);
	atomic_fetch_add(&box->unmapped, 1);
}

static void box_release(struct file *file)
{
	atomic_store(&container_of(file, struct box, file)->released, true);
}

static const struct file_ops box_ops = {
	.name = "[box]",
	.read = box_read,
	.poll = box_poll,
	.mmap = box_mmap,
	.unmap = box_unmap,
	.release = box_release,
};

static void box_add(struct box *box)
{
	atomic_fetch_add(&box->items, 1);
	file_wake(&box->file);
}

/* ---- fixture ---- */

static struct world *world;
static struct iommufd_process *proc;
static struct box box;

static int setup(void **state)
{
	world_setup(state);
	world = *state;
	assert_int_equal(iommufd_process_create(world->system, &proc), 0);
	memset(&box, 0, sizeof(box));
	file_init(&box.file, &box_ops, world->system, O_RDWR | O_CLOEXEC);
	box.memfd = memfd_create("box", MFD_CLOEXEC);
	assert_true(box.memfd >= 0);
	assert_int_equal(ftruncate(box.memfd, 4 * PAGE_SIZE), 0);
	return 0;
}

static int teardown(void **state)
{
	iommufd_process_destroy(proc);
	close(box.memfd);
	return world_teardown(state);
}

static int open_iommu(void)
{
	int fd = iommufd_open(proc, "/dev/iommu", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 8192; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* ---- descriptors ---- */

static void an_open_gives_a_descriptor_that_works(void **state)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int lowest = dup(0);
	int fd, before;

	close(lowest);
	before = count_fds();
	fd = open_iommu();
	assert_int_equal(fd, lowest);
	assert_true(iommufd_fd_is_ours(proc, fd));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(iommufd_ioctl(proc, fd, IOMMU_IOAS_ALLOC, &cmd), 0);
	assert_int_equal(cmd.out_ioas_id, 1);
	assert_int_equal(iommufd_ioctl(proc, fd, IOMMU_IOAS_ALLOC, NULL), -EFAULT);
	assert_int_equal(iommufd_read(proc, fd, &cmd, 4), -EINVAL);
	assert_int_equal(iommufd_write(proc, fd, &cmd, 4), -EINVAL);
	assert_int_equal(iommufd_close(proc, fd), 0);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_false(iommufd_fd_is_ours(proc, fd));
	assert_int_equal(iommufd_close(proc, fd), -EBADF);
	assert_int_equal(count_fds(), before);
}

static void other_numbers_are_not_ours(void **state)
{
	static const int numbers[] = { -1, 0, 9999, 1 << 20, INT32_MAX, INT32_MIN };
	struct iommufd_ctx *ctx;
	void *ptr;

	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++) {
		int fd = numbers[i];

		assert_false(iommufd_fd_is_ours(proc, fd));
		assert_int_equal(iommufd_ioctl(proc, fd, IOMMU_DESTROY, NULL), -EBADF);
		assert_int_equal(iommufd_read(proc, fd, NULL, 0), -EBADF);
		assert_int_equal(iommufd_write(proc, fd, NULL, 0), -EBADF);
		assert_int_equal(iommufd_poll(proc, fd, POLLIN, 0), -EBADF);
		assert_int_equal(iommufd_dup(proc, fd), -EBADF);
		assert_int_equal(iommufd_close(proc, fd), -EBADF);
		assert_int_equal(iommufd_mmap(proc, NULL, 4096, PROT_READ, MAP_SHARED, fd, 0, &ptr),
				 -EBADF);
		assert_int_equal(iommufd_ctx_from_fd(proc, fd, &ctx), fd ? -EBADF : -EBADFD);
	}
	assert_int_equal(iommufd_open(proc, "/dev/null", O_RDWR), -ENOENT);
}

static void the_container_is_the_same_device_by_another_name(void **state)
{
	struct iommu_option cmd = { .size = sizeof(cmd), .op = IOMMU_OPTION_OP_GET };
	int fd = iommufd_open(proc, "/dev/vfio/vfio", O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(iommufd_ioctl(proc, fd, 0x3b64, NULL), 0);
	assert_int_equal(iommufd_ioctl(proc, fd, IOMMU_OPTION, &cmd), 0);
	assert_int_equal(cmd.val64, 1);
}

static void the_last_duplicate_releases(void **state)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu();
	int copy = iommufd_dup(proc, fd);
	int far = self_dup_from(proc, fd, 1000, 0);

	assert_true(copy >= 0 && copy != fd);
	assert_true(far >= 1000);
	assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(far, F_GETFD), 0);
	assert_int_equal(iommufd_ioctl(proc, copy, IOMMU_IOAS_ALLOC, &cmd), 0);
	assert_int_equal(iommufd_ioctl(proc, far, IOMMU_IOAS_ALLOC, &cmd), 0);
	assert_int_equal(cmd.out_ioas_id, 2);
	assert_int_equal(iommufd_close(proc, fd), 0);
	assert_int_equal(iommufd_close(proc, copy), 0);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	assert_int_equal(iommufd_close(proc, far), 0);
	assert_int_equal(fake_ends_get().n_destroyed, 2);
}

static void a_number_can_be_dupped_over(void **state)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int a = open_iommu();
	int b = open_iommu();
	int foreign = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(iommufd_ioctl(proc, b, IOMMU_IOAS_ALLOC, &cmd), 0);
	/* ours over ours: what b was is closed */
	assert_int_equal(self_dup_to(proc, a, b, O_CLOEXEC), b);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(iommufd_ioctl(proc, b, IOMMU_IOAS_ALLOC, &cmd), 0);
	/* ours over a foreign one */
	assert_int_equal(self_dup_to(proc, a, foreign, 0), foreign);
	assert_true(iommufd_fd_is_ours(proc, foreign));
	/* a foreign one over ours */
	assert_int_equal(self_dup_to(proc, 0, foreign, 0), foreign);
	assert_false(iommufd_fd_is_ours(proc, foreign));
	assert_int_equal(self_dup_to(proc, a, a, 0), -EINVAL);
	assert_int_equal(self_dup_to(proc, 9999, b, 0), -EBADF);
	assert_int_equal(self_dup_to(proc, a, -1, 0), -EBADF);
	assert_true(iommufd_fd_is_ours(proc, b));
	iommufd_close(proc, a);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	iommufd_close(proc, b);
	assert_int_equal(fake_ends_get().n_destroyed, 2);
	close(foreign);
}

static void a_held_context_outlives_its_descriptor(void **state)
{
	struct iommufd_ctx *ctx;
	char buf[64];
	int fd = open_iommu();

	assert_int_equal(iommufd_ctx_from_fd(proc, fd, &ctx), 0);
	fake_object_make(ctx, IOMMUFD_OBJ_IOAS);
	assert_int_equal(iommufd_close(proc, fd), 0);
	assert_int_equal(iommufd_ctx_check(ctx, buf, sizeof(buf)), 0);
	assert_int_equal(fake_ends_get().n_destroyed, 0);
	iommufd_ctx_put(ctx);
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	iommufd_ctx_put(NULL);
}

static void the_end_of_a_process_closes_and_unmaps(void **state)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int before = count_fds();
	int fd = open_iommu();
	void *ptr;

	assert_int_equal(iommufd_ioctl(proc, fd, IOMMU_IOAS_ALLOC, &cmd), 0);
	iommufd_dup(proc, fd);
	fd = self_adopt(proc, &box.file);
	assert_int_equal(iommufd_mmap(proc, NULL, 4 * PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0,
				      &ptr), 0);
	iommufd_process_destroy(proc);
	proc = NULL;
	assert_int_equal(fake_ends_get().n_destroyed, 1);
	assert_int_equal(box.unmapped, 1);
	assert_true(box.released);
	assert_true(count_fds() <= before);
}

static void commands_see_descriptors_and_rights(void **state)
{
	struct self_task self;
	struct task_fd found;
	int fd = open_iommu();
	u32 word = 7, copy = 0;

	self_enter(&self, proc);
	assert_ptr_equal(task_current, &self.task);
	assert_int_equal(copy_from_user(&copy, (uintptr_t)&word, sizeof(word)), 0);
	assert_int_equal(copy, 7);
	assert_int_equal(copy_from_user(&copy, 8, sizeof(word)), -EFAULT);
	assert_int_equal(task_current->ops->fd_get(task_current, fd, &found), 0);
	assert_non_null(ctx_from_file(found.file));
	file_put(found.file);
	assert_int_equal(task_current->ops->fd_get(task_current, 9999, &found), -EBADF);
	assert_int_equal(task_current->ops->fd_get(task_current, box.memfd, &found), 0);
	assert_null(found.file);
	assert_true(found.host_fd >= 0 && found.host_fd != box.memfd);
	close(found.host_fd);
	assert_int_equal(task_current->ops->fd_reserve(task_current, 0, &fd), 0);
	assert_false(iommufd_fd_is_ours(proc, fd));
	assert_true(fcntl(fd, F_GETFD) >= 0);
	task_current->ops->fd_unreserve(task_current, fd);
	assert_true(fcntl(fd, F_GETFD) < 0);
	/* whatever we may do: the number past the last capability nobody has */
	assert_false(capable(63));
	self_leave(&self);
	assert_null(task_current);
}

/* ---- files with a position ---- */

static ssize_t tape_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	u8 byte = (u8)pos;

	/* a byte at a time, the position itself, up to 10 */
	if (pos >= 10 || !count)
		return 0;
	return copy_to_user(ubuf, &byte, 1) ? -EFAULT : 1;
}

static ssize_t tape_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	return pos < 10 ? (ssize_t)MIN(count, 10 - pos) : -ENOSPC;
}

static const struct file_ops tape_ops = {
	.name = "[tape]",
	.pread = tape_pread,
	.pwrite = tape_pwrite,
	.release = box_release,
};

static void read_and_write_share_a_position(void **state)
{
	int fd, copy, iommu = open_iommu();
	u8 bytes[16] = { 0 };

	box.file.ops = &tape_ops;
	fd = self_adopt(proc, &box.file);
	copy = iommufd_dup(proc, fd);
	assert_int_equal(iommufd_read(proc, fd, bytes, 1), 1);
	assert_int_equal(iommufd_read(proc, copy, bytes, 1), 1);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(iommufd_pread(proc, fd, bytes, 1, 7), 1);
	assert_int_equal(bytes[0], 7);
	assert_int_equal(iommufd_write(proc, fd, bytes, 3), 3);
	assert_int_equal(iommufd_pwrite(proc, fd, bytes, 16, 4), 6);
	assert_int_equal(iommufd_read(proc, fd, bytes, 1), 1);
	assert_int_equal(bytes[0], 5);
	assert_int_equal(iommufd_write(proc, fd, bytes, 16), 4);
	assert_int_equal(iommufd_read(proc, fd, bytes, 1), 0);
	assert_int_equal(iommufd_write(proc, fd, bytes, 1), -ENOSPC);
	assert_int_equal(iommufd_pread(proc, iommu, bytes, 1, 0), -ESPIPE);
	assert_int_equal(iommufd_pwrite(proc, iommu, bytes, 1, 0), -ESPIPE);
	assert_int_equal(iommufd_pread(proc, 9999, bytes, 1, 0), -EBADF);
	assert_int_equal(iommufd_pwrite(proc, 9999, bytes, 1, 0), -EBADF);
}

/* ---- readiness ---- */

static bool natively_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void a_descriptor_is_natively_readable_while_there_is_something(void **state)
{
	int fd = self_adopt(proc, &box.file);
	u32 item;

	assert_false(natively_readable(fd));
	assert_int_equal(iommufd_poll(proc, fd, POLLIN, 0), 0);
	box_add(&box);
	box_add(&box);
	assert_true(natively_readable(fd));
	assert_int_equal(iommufd_poll(proc, fd, POLLIN, -1), POLLIN);
	assert_int_equal(iommufd_read(proc, fd, &item, sizeof(item)), 4);
	assert_true(natively_readable(fd));
	assert_int_equal(iommufd_read(proc, fd, &item, sizeof(item)), 4);
	assert_false(natively_readable(fd));
	assert_int_equal(iommufd_poll(proc, fd, POLLIN, 20), 0);
	/* asked for what it never is: not even what can be read ends the wait early */
	box_add(&box);
	assert_int_equal(iommufd_poll(proc, fd, POLLOUT, 30), 0);
	assert_int_equal(iommufd_close(proc, fd), 0);
	assert_true(box.released);
}

static void a_file_without_poll_is_always_ready(void **state)
{
	int fd = open_iommu();

	assert_true(natively_readable(fd));
	assert_int_equal(iommufd_poll(proc, fd, POLLIN | POLLOUT, -1), POLLIN | POLLOUT);
}

static void *add_soon(void *data)
{
	usleep(20000);
	box_add(data);
	return NULL;
}

static void a_wake_ends_a_wait(void **state)
{
	int fd = self_adopt(proc, &box.file);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, add_soon, &box), 0);
	assert_int_equal(iommufd_poll(proc, fd, POLLIN, -1), POLLIN);
	pthread_join(thread, NULL);
}

#define PRODUCED 3000

static void *produce(void *data)
{
	for (u32 i = 0; i < PRODUCED; i++)
		box_add(data);
	return NULL;
}

static void no_wake_is_lost_between_threads(void **state)
{
	int fd = self_adopt(proc, &box.file);
	pthread_t thread;
	u32 item;

	assert_int_equal(pthread_create(&thread, NULL, produce, &box), 0);
	for (u32 got = 0; got < PRODUCED; got++) {
		assert_int_equal(iommufd_poll(proc, fd, POLLIN, -1), POLLIN);
		assert_int_equal(iommufd_read(proc, fd, &item, sizeof(item)), 4);
	}
	pthread_join(thread, NULL);
	assert_int_equal(iommufd_poll(proc, fd, POLLIN, 0), 0);
	assert_false(natively_readable(fd));
}

/* ---- mappings ---- */

static void a_mapping_is_checked_as_the_kernel_does(void **state)
{
	int iommu = open_iommu();
	int fd = self_adopt(proc, &box.file);
	size_t length = 4 * PAGE_SIZE;
	void *ptr;

	assert_int_equal(iommufd_mmap(proc, NULL, length, PROT_READ, MAP_SHARED, iommu, 0, &ptr),
			 -ENXIO);
	assert_int_equal(iommufd_mmap(proc, NULL, 0, PROT_READ, MAP_SHARED, fd, 0, &ptr), -EINVAL);
	assert_int_equal(iommufd_mmap(proc, NULL, length, PROT_READ, MAP_SHARED, fd, 1, &ptr),
			 -EINVAL);
	assert_int_equal(iommufd_mmap(proc, NULL, length, PROT_READ, MAP_SHARED, fd, PAGE_SIZE,
				      &ptr), -ENXIO);
	assert_int_equal(iommufd_mmap(proc, (void *)0x10001, length, PROT_READ,
				      MAP_SHARED | MAP_FIXED, fd, 0, &ptr), -EINVAL);
	assert_int_equal(iommufd_mmap(proc, (void *)-PAGE_SIZE, length, PROT_READ,
				      MAP_SHARED | MAP_FIXED, fd, 0, &ptr), -ENOMEM);
	box.file.open_flags = O_RDONLY;
	assert_int_equal(iommufd_mmap(proc, NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				      0, &ptr), -EACCES);
	box.file.open_flags = O_WRONLY;
	assert_int_equal(iommufd_mmap(proc, NULL, length, PROT_READ, MAP_SHARED, fd, 0, &ptr),
			 -EACCES);
	assert_int_equal(iommufd_munmap(proc, (void *)1, length), -EINVAL);
	assert_int_equal(iommufd_munmap(proc, NULL, 0), -EINVAL);
}

static void a_mapping_without_memory_is_refused_and_ends(void **state)
{
	int fd = self_adopt(proc, &box.file);
	void *ptr;

	box.trapped = true;
	assert_int_equal(
		iommufd_mmap(proc, NULL, 4 * PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0, &ptr),
		-EOPNOTSUPP);
	assert_int_equal(box.unmapped, 1);
}

static u8 *map_box(int fd, void *addr, int flags)
{
	void *ptr;

	assert_int_equal(iommufd_mmap(proc, addr, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | flags, fd, 0, &ptr), 0);
	return ptr;
}

static void a_mapping_holds_its_file_to_its_last_piece(void **state)
{
	int fd = self_adopt(proc, &box.file);
	u8 *ptr = map_box(fd, NULL, 0);
	u8 byte;

	ptr[3 * PAGE_SIZE] = 42;
	assert_int_equal(pread(box.memfd, &byte, 1, 3 * PAGE_SIZE), 1);
	assert_int_equal(byte, 42);
	iommufd_close(proc, fd);
	assert_false(box.released);
	/* a hole in the middle, then the two ends */
	assert_int_equal(iommufd_munmap(proc, ptr + PAGE_SIZE, 2 * PAGE_SIZE), 0);
	assert_int_equal(ptr[3 * PAGE_SIZE], 42);
	assert_int_equal(iommufd_munmap(proc, ptr, PAGE_SIZE), 0);
	assert_int_equal(box.unmapped, 0);
	assert_int_equal(iommufd_munmap(proc, ptr, 4 * PAGE_SIZE), 0);
	assert_int_equal(box.unmapped, 1);
	assert_true(box.released);
}

static void a_fixed_mapping_ends_what_was_there(void **state)
{
	int fd = self_adopt(proc, &box.file);
	u8 *ptr = map_box(fd, NULL, 0);

	assert_ptr_equal(map_box(fd, ptr, MAP_FIXED), ptr);
	assert_int_equal(box.unmapped, 1);
	assert_int_equal(iommufd_munmap(proc, ptr, 4 * PAGE_SIZE), 0);
	assert_int_equal(box.unmapped, 2);
}

/* ---- failures on demand ---- */

static int sequence(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
	};
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	int fd = iommufd_open(proc, "/dev/iommu", O_RDWR);
	long rc;

	if (fd < 0)
		return fd;
	rc = iommufd_ioctl(proc, fd, IOMMU_IOAS_ALLOC, &alloc);
	if (rc)
		goto out;
	option.object_id = destroy.id = alloc.out_ioas_id;
	rc = iommufd_ioctl(proc, fd, IOMMU_OPTION, &option);
	if (rc)
		goto out;
	rc = iommufd_ioctl(proc, fd, IOMMU_DESTROY, &destroy);
out:
	assert_int_equal(iommufd_close(proc, fd), 0);
	return (int)rc;
}

static void every_step_can_fail_and_nothing_is_left(void **state)
{
	int before;
	u32 nth;

	assert_int_equal(sequence(), 0);
	before = count_fds();
	for (nth = 1; nth < 100; nth++) {
		int rc;

		iommufd_fail_nth_set(nth);
		rc = sequence();
		assert_int_equal(count_fds(), before);
		if (iommufd_fail_nth_get())
			break;
		assert_true(rc < 0);
	}
	iommufd_fail_nth_set(0);
	/* at least: host, context; the commands' structs in and out; object, table; lookup */
	assert_in_range(nth, 10, 99);
	assert_int_equal(sequence(), 0);
}

static void a_mapping_that_fails_half_way_tells_its_file(void **state)
{
	int fd = self_adopt(proc, &box.file);
	u32 nth = 0;
	void *ptr;
	int rc;

	do {
		box.mapped = 0;
		atomic_store(&box.unmapped, 0);
		iommufd_fail_nth_set(++nth);
		rc = iommufd_mmap(proc, NULL, 4 * PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0, &ptr);
		assert_int_equal(box.mapped - atomic_load(&box.unmapped), rc ? 0 : 1);
		assert_true(rc == 0 || rc == -ENOMEM);
	} while (rc);
	/* the record of the mapping, and its place in the map */
	assert_true(nth >= 3);
	iommufd_fail_nth_set(0);
	assert_int_equal(iommufd_munmap(proc, ptr, 4 * PAGE_SIZE), 0);
	assert_int_equal(iommufd_close(proc, fd), 0);
	assert_true(box.released);
}

static void a_process_is_made_whole_or_not_at_all(void **state)
{
	struct fault_state fault = { 0 };
	struct iommufd_process *other;
	int before = count_fds();
	u32 nth = 0;
	int rc;

	do {
		atomic_store(&fault.nth, ++nth);
		fault_current = &fault;
		rc = iommufd_process_create(world->system, &other);
		fault_current = NULL;
		assert_true(rc == 0 || (rc == -ENOMEM && count_fds() == before));
	} while (rc);
	assert_true(nth >= 3);
	iommufd_process_destroy(other);
	iommufd_process_destroy(NULL);
	assert_int_equal(count_fds(), before);
}

/* ---- threads ---- */

static void *open_and_close(void *data)
{
	for (u32 i = 0; i < 300; i++) {
		struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
		int fd = iommufd_open(proc, "/dev/iommu", O_RDWR);
		int copy = iommufd_dup(proc, fd);

		assert_true(fd >= 0 && copy >= 0);
		assert_int_equal(iommufd_close(proc, fd), 0);
		assert_int_equal(iommufd_ioctl(proc, copy, IOMMU_IOAS_ALLOC, &cmd), 0);
		assert_int_equal(cmd.out_ioas_id, 1);
		assert_int_equal(iommufd_close(proc, copy), 0);
	}
	return NULL;
}

static _Atomic bool stop;

static void *meddle(void *data)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = 999 };

	while (!atomic_load(&stop)) {
		for (int fd = 0; fd < 24; fd++) {
			if (!iommufd_fd_is_ours(proc, fd))
				continue;
			long rc = iommufd_ioctl(proc, fd, IOMMU_DESTROY, &cmd);

			assert_true(rc == -ENOENT || rc == -EBADF);
		}
	}
	return NULL;
}

static void threads_may_open_and_close_under_each_other(void **state)
{
	pthread_t opener[3], meddler;

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&meddler, NULL, meddle, NULL), 0);
	for (u32 i = 0; i < ARRAY_SIZE(opener); i++)
		assert_int_equal(pthread_create(&opener[i], NULL, open_and_close, NULL), 0);
	for (u32 i = 0; i < ARRAY_SIZE(opener); i++)
		pthread_join(opener[i], NULL);
	atomic_store(&stop, true);
	pthread_join(meddler, NULL);
	assert_int_equal(fake_ends_get().n_destroyed, 900);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_open_gives_a_descriptor_that_works),
		T(other_numbers_are_not_ours),
		T(the_container_is_the_same_device_by_another_name),
		T(the_last_duplicate_releases),
		T(a_number_can_be_dupped_over),
		T(a_held_context_outlives_its_descriptor),
		T(the_end_of_a_process_closes_and_unmaps),
		T(commands_see_descriptors_and_rights),
		T(read_and_write_share_a_position),
		T(a_descriptor_is_natively_readable_while_there_is_something),
		T(a_file_without_poll_is_always_ready),
		T(a_wake_ends_a_wait),
		T(no_wake_is_lost_between_threads),
		T(a_mapping_is_checked_as_the_kernel_does),
		T(a_mapping_without_memory_is_refused_and_ends),
		T(a_mapping_holds_its_file_to_its_last_piece),
		T(a_fixed_mapping_ends_what_was_there),
		T(every_step_can_fail_and_nothing_is_left),
		T(a_mapping_that_fails_half_way_tells_its_file),
		T(a_process_is_made_whole_or_not_at_all),
		T(threads_may_open_and_close_under_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
