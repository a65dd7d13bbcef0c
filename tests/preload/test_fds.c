/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of a preloaded program: what they look like, that they behave as
 * descriptors do, and that those of others are left alone.
 */
#include "program.h"

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

/* ---- looks ---- */

static void assert_is_node(const struct stat *st)
{
	assert_true(S_ISCHR(st->st_mode));
	assert_int_equal(major(st->st_rdev), 10);
	assert_int_not_equal(minor(st->st_rdev), 0);
}

static void the_node_looks_like_a_misc_device_from_everywhere(void **state)
{
	int fd = iommu_open();
	struct stat by_path, by_fd, by_at;
	struct statx stx;

	assert_int_equal(stat("/dev/iommu", &by_path), 0);
	assert_is_node(&by_path);
	assert_int_equal(fstat(fd, &by_fd), 0);
	assert_is_node(&by_fd);
	assert_int_equal(by_fd.st_rdev, by_path.st_rdev);
	assert_int_equal(by_fd.st_ino, by_path.st_ino);
	assert_int_equal(fstatat(fd, "", &by_at, AT_EMPTY_PATH), 0);
	assert_int_equal(by_at.st_rdev, by_path.st_rdev);
	assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx), 0);
	assert_int_equal(makedev(stx.stx_rdev_major, stx.stx_rdev_minor), by_path.st_rdev);
	assert_int_equal(lstat("/dev/../dev//iommu", &by_path), 0);
	assert_is_node(&by_path);
	assert_int_equal(stat("/dev/vfio/vfio", &by_path), 0);
	assert_int_equal(by_path.st_rdev, makedev(10, 196));
	assert_int_equal(access("/dev/iommu", R_OK | W_OK), 0);
	assert_int_equal(access("/dev/iommu", X_OK), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(close(fd), 0);
}

static void proc_shows_the_names_of_our_files(void **state)
{
	int fd = iommu_open();
	int ioas = ioas_alloc(fd);
	int access_fd = access_open(fd, ioas);
	char path[64], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(readlink(path, name, sizeof(name)), strlen("/dev/iommu"));
	assert_memory_equal(name, "/dev/iommu", strlen("/dev/iommu"));
	assert_true(access_fd >= 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), access_fd);
	assert_true(readlink(path, name, sizeof(name)) > 11);
	assert_memory_equal(name, "anon_inode:", 11);
	assert_int_equal(readlink("/dev/iommu", name, sizeof(name)), -1);
	assert_int_equal(errno, EINVAL);
	close(access_fd);
	close(fd);
}

static void it_opens_by_every_way_to_its_name(void **state)
{
	int dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[64];
	int fd[4];

	fd[0] = openat(dev, "iommu", O_RDWR);
	fd[1] = open("/dev//./iommu", O_RDWR);
	fd[2] = creat("/dev/iommu", 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[0]);
	fd[3] = open(path, O_RDWR);
	for (int i = 0; i < 4; i++) {
		assert_true(fd[i] >= 0);
		/* Each open is a context of its own, so each has an object 1. */
		assert_int_equal(ioas_alloc(fd[i]), 1);
		assert_int_equal(close(fd[i]), 0);
	}
	assert_int_equal(open("/dev/iommu", O_RDWR | O_DIRECTORY), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600), -1);
	assert_int_equal(errno, EEXIST);
	close(dev);
}

/* ---- numbers ---- */

static void the_lowest_free_number_is_given_out(void **state)
{
	int low = dup(0);
	int fd;

	assert_true(low >= 0);
	close(low);
	fd = iommu_open();
	assert_int_equal(fd, low);
	close(fd);
}

static void closing_one_of_two_numbers_leaves_the_context(void **state)
{
	int fd = iommu_open();
	int copy = dup(fd);

	assert_true(copy > fd);
	assert_int_equal(ioas_alloc(fd), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(ioas_alloc(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ioas_alloc(copy), 2);
	assert_int_equal(close(copy), 0);
	assert_int_equal(close(copy), -1);
	assert_int_equal(errno, EBADF);
}

static void dup2_puts_ours_over_theirs_and_theirs_over_ours(void **state)
{
	int fd = iommu_open();
	int pipe_fds[2];
	char c = 0;

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(ioas_alloc(fd), 1);
	assert_int_equal(dup2(fd, pipe_fds[1]), pipe_fds[1]);
	assert_int_equal(ioas_alloc(pipe_fds[1]), 2);
	/* The write end was closed by that. */
	assert_int_equal(read(pipe_fds[0], &c, 1), 0);
	assert_int_equal(dup3(pipe_fds[0], fd, O_CLOEXEC), fd);
	assert_int_equal(ioas_alloc(fd), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(read(fd, &c, 1), 0);
	assert_int_equal(ioas_alloc(pipe_fds[1]), 3);
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void fcntl_tells_what_the_program_asked_for(void **state)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int high;

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	assert_true(high >= 200);
	assert_int_equal(fcntl(high, F_GETFD), FD_CLOEXEC);
	assert_int_equal(ioas_alloc(high), 1);
	/* Not opened by a path, so nothing says that it may be large. */
	assert_int_equal(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &queue), 0);
	assert_int_equal(fcntl((int)queue.out_fault_fd, F_GETFL), O_RDWR);
	close((int)queue.out_fault_fd);
	close(high);
	close(fd);
	fd = iommu_open();
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	close(fd);
}

/* Closing everything is what daemons and sandboxes do; the core's own descriptors must survive. */
static void a_stream_on_ours_ends_with_its_number(void **state)
{
	int fd = iommu_open();
	FILE *stream = fdopen(fd, "r+");
	int pipe_fds[2];
	char c = 0;

	assert_non_null(stream);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(ioas_alloc(fd), -1);
	assert_int_equal(errno, EBADF);
	/* Whoever gets the number next gets what he asked for. */
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(pipe_fds[0], fd);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void closing_all_numbers_closes_only_the_programs(void **state)
{
	int fd = iommu_open();
	void *memory = memory_map(PAGE);
	int ioas;

	assert_int_equal(close_range((unsigned int)fd, ~0U, 0), 0);
	assert_int_equal(ioas_alloc(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(iommu_open(), fd);
	for (int i = fd + 1; i < 5000; i++)
		close(i);
	ioas = ioas_alloc(fd);
	assert_int_equal(ioas, 1);
	assert_true(mock_attach(fd, ioas) > 0);
	assert_int_equal(ioas_map(fd, ioas, memory, PAGE, MOCK_APERTURE_START), 0);
	assert_int_equal(close(fd), 0);
	munmap(memory, PAGE);
}

/* ---- other system calls ---- */

static void what_the_kernel_refuses_on_iommufd_is_refused(void **state)
{
	int fd = iommu_open();
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	char c = 0;
	struct iovec iov = { &c, 1 };

	assert_int_equal(read(fd, &c, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(write(fd, &c, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(readv(fd, &iov, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), -1);
	assert_int_equal(errno, ESPIPE);
	assert_int_equal(ioctl(fd, _IO(';', 0x7f), NULL), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(fd, IOMMU_IOAS_ALLOC, NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_ptr_equal(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(pfd.revents, POLLIN | POLLOUT);
	close(fd);
}

static void success_leaves_errno_as_it_was(void **state)
{
	int fd;

	errno = EXDEV;
	fd = open("/dev/iommu", O_RDWR);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(ioas_alloc(fd), 1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(close(fd), 0);
	assert_int_equal(errno, EXDEV);
}

static void other_descriptors_are_not_disturbed(void **state)
{
	int fd = iommu_open();
	char path[] = "/tmp/test_preload.XXXXXX";
	int file = mkstemp(path);
	char text[8] = "";
	struct stat st;

	assert_true(file >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(file, "abc", 3), 3);
	assert_int_equal(pwrite(file, "d", 1, 3), 1);
	assert_int_equal(lseek(file, 1, SEEK_SET), 1);
	assert_int_equal(read(file, text, sizeof(text)), 3);
	assert_string_equal(text, "bcd");
	assert_int_equal(fstat(file, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 4);
	assert_int_equal(open("/nowhere/iommu", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
	close(file);
	close(fd);
}

/* ---- processes ---- */

static int child_uses_inherited(void *data)
{
	int fd = *(int *)data;
	struct stat st;
	int copy;

	if (ioas_alloc(fd) != -1 || errno != EIO)
		return 1;
	if (read(fd, &st, 1) != -1 || errno != EIO)
		return 2;
	copy = dup(fd);
	if (copy < 0 || ioas_alloc(copy) != -1 || errno != EIO)
		return 3;
	if (close(copy) || close(fd))
		return 4;
	/* The numbers are free for a system of the child's own. */
	return open("/dev/iommu", O_RDWR) == fd && ioas_alloc(fd) == 1 ? 0 : 5;
}

static void a_forked_child_has_its_own_system_and_no_part_in_ours(void **state)
{
	int fd = iommu_open();
	int status;

	assert_int_equal(ioas_alloc(fd), 1);
	status = in_child(child_uses_inherited, &fd);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(ioas_alloc(fd), 2);
	close(fd);
}

static int grandchild_opens(void *data)
{
	int fd = open("/dev/iommu", O_RDWR);

	return ioas_alloc(fd) == 1 && !close(fd) ? 0 : 1;
}

static int child_forks_again(void *data)
{
	int status;

	if (grandchild_opens(NULL))
		return 1;
	status = in_child(grandchild_opens, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void so_has_its_child(void **state)
{
	int status = in_child(child_forks_again, NULL);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_vfork_child_that_closes_everything_hurts_nobody(void **state)
{
	int fd = iommu_open();
	int status;
	pid_t pid;

	pid = vfork();
	if (!pid) {
		close(fd);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ioas_alloc(fd), 1);
	close(fd);
}

static void exec_closes_ours_even_if_not_asked(void **state)
{
	char number[16];
	int fd = iommu_open();
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", fd);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "test ! -e /proc/self/fd/$0", number, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS 200

static void *thread_opens_and_maps(void *memory)
{
	long failed = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = open("/dev/iommu", O_RDWR);
		int copy = dup(fd);
		int ioas = ioas_alloc(copy);

		failed += fd < 0 || copy < 0 || ioas != 1;
		failed += close(fd) != 0;
		failed += ioas_map(copy, ioas, memory, PAGE, 0) != 0;
		failed += ioas_unmap(copy, ioas, 0, PAGE) != 0;
		failed += close(copy) != 0;
	}
	return (void *)failed;
}

static void *thread_uses_pipes(void *data)
{
	long failed = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int fds[2], c = i, got = -1;

		failed += pipe(fds) != 0;
		failed += write(fds[1], &c, sizeof(c)) != sizeof(c);
		failed += read(fds[0], &got, sizeof(got)) != sizeof(got) || got != i;
		failed += close(fds[0]) != 0 || close(fds[1]) != 0;
	}
	return (void *)failed;
}

static void threads_get_numbers_that_mean_one_thing(void **state)
{
	void *memory = memory_map(PAGE);
	pthread_t threads[THREADS];
	void *failed;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i % 2 ? thread_uses_pipes : thread_opens_and_maps,
						memory), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_int_equal((long)failed, 0);
	}
	munmap(memory, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_node_looks_like_a_misc_device_from_everywhere),
		cmocka_unit_test(proc_shows_the_names_of_our_files),
		cmocka_unit_test(it_opens_by_every_way_to_its_name),
		cmocka_unit_test(the_lowest_free_number_is_given_out),
		cmocka_unit_test(closing_one_of_two_numbers_leaves_the_context),
		cmocka_unit_test(dup2_puts_ours_over_theirs_and_theirs_over_ours),
		cmocka_unit_test(fcntl_tells_what_the_program_asked_for),
		cmocka_unit_test(a_stream_on_ours_ends_with_its_number),
		cmocka_unit_test(closing_all_numbers_closes_only_the_programs),
		cmocka_unit_test(what_the_kernel_refuses_on_iommufd_is_refused),
		cmocka_unit_test(success_leaves_errno_as_it_was),
		cmocka_unit_test(other_descriptors_are_not_disturbed),
		cmocka_unit_test(a_forked_child_has_its_own_system_and_no_part_in_ours),
		cmocka_unit_test(so_has_its_child),
		cmocka_unit_test(a_vfork_child_that_closes_everything_hurts_nobody),
		cmocka_unit_test(exec_closes_ours_even_if_not_asked),
		cmocka_unit_test(threads_get_numbers_that_mean_one_thing),
	};

	return cmocka_run_group_tests_name("preload_fds", tests, NULL, NULL);
}
