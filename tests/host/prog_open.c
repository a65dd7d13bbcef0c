/* SPDX-License-Identifier: MIT */
/*
 * The ways to open and look at our nodes: each names a device, each open is a
 * context of its own.
 */
#include "prog.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void is_a_new_context(int fd)
{
	CHECK(fd >= 0);
	CHECK(ioas_alloc(fd) == 1);
	CHECK(close(fd) == 0);
}

static void every_way_to_open_makes_a_context(void)
{
	struct open_how how = { .flags = O_RDWR };
	char cwd[4096], link[64];
	int dir, fd;

	is_a_new_context(open("/dev/iommu", O_RDWR));
	is_a_new_context(open("/dev/iommu", O_RDONLY));
	is_a_new_context(open("//dev/./iommu", O_RDWR | O_CLOEXEC));
	is_a_new_context(open("/dev/iommu", O_RDWR | O_CREAT, 0600));
	is_a_new_context((int)syscall(SYS_openat, AT_FDCWD, "/dev/iommu", O_RDWR));
	is_a_new_context((int)syscall(SYS_openat2, AT_FDCWD, "/dev/iommu", &how, sizeof(how)));
#ifdef SYS_open
	is_a_new_context((int)syscall(SYS_open, "/dev/iommu", O_RDWR));
	is_a_new_context((int)syscall(SYS_creat, "/dev/iommu", 0600));
#endif
	dir = open("/dev", O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	is_a_new_context(openat(dir, "iommu", O_RDWR));
	is_a_new_context(openat(dir, "../dev/iommu", O_RDWR));
	close(dir);
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK(chdir("/dev") == 0);
	is_a_new_context(open("iommu", O_RDWR));
	CHECK(chdir(cwd) == 0 || chdir("/") == 0);

	fd = open_iommu();
	CHECK(ioas_alloc(fd) == 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	is_a_new_context(open(link, O_RDWR));
	snprintf(link, sizeof(link), "/dev/fd/%d", fd);
	is_a_new_context(open(link, O_RDWR));
	CHECK(ioas_alloc(fd) == 2);
	close(fd);
}

static void opens_that_must_fail_do(void)
{
	char other[64];
	int fd;

	CHECK_ERRNO(EEXIST, open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_ERRNO(ENOTDIR, open("/dev/iommu", O_RDWR | O_DIRECTORY));
	CHECK_ERRNO(EFAULT, open((char *)8, O_RDWR));
	CHECK_ERRNO(ENOENT, open("/nonexistent/iommu", O_RDWR));
	CHECK_ERRNO(EBADF, openat(1000, "iommu", O_RDWR));
	/* A file of the name elsewhere is just that file. */
	snprintf(other, sizeof(other), "/tmp/uiommufd-test-%d", getpid());
	CHECK(mkdir(other, 0700) == 0 && chdir(other) == 0);
	CHECK_ERRNO(ENOENT, open("iommu", O_RDWR));
	fd = open("iommu", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_ERRNO(ENOTTY, ioctl(fd, IOMMU_IOAS_ALLOC, &fd));
	close(fd);
	CHECK(unlink("iommu") == 0 && chdir("/") == 0 && rmdir(other) == 0);
}

static void flags_and_numbers_are_the_kernels(void)
{
	int low = open("/dev/null", O_RDONLY);
	int fd;

	close(low);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	CHECK(fd == low);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
	close(fd);
	fd = open("/dev/iommu", O_RDONLY);
	CHECK(fcntl(fd, F_GETFD) == 0);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	close(fd);
}

static void check_device(const struct stat *st, unsigned int min)
{
	CHECK(S_ISCHR(st->st_mode));
	CHECK(major(st->st_rdev) == 10);
	CHECK(!min || minor(st->st_rdev) == min);
	CHECK(st->st_nlink == 1);
}

static void descriptors_look_like_the_device(void)
{
	int fd = open_iommu(), vfio = open("/dev/vfio/vfio", O_RDWR);
	char link[64], text[64];
	struct statx stx;
	struct stat st;
	ssize_t len;

	CHECK(vfio >= 0);
	CHECK(fstat(vfio, &st) == 0);
	check_device(&st, 196);
	CHECK(syscall(SYS_fstat, fd, &st) == 0);
	check_device(&st, 0);
	CHECK(syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) == 0);
	check_device(&st, 0);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) == 0);
	CHECK(S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == 10);
	CHECK(stx.stx_rdev_minor == minor(st.st_rdev) && stx.stx_ino == st.st_ino);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, text, sizeof(text));
	CHECK(len == 10 && !memcmp(text, "/dev/iommu", 10));
	CHECK(readlink(link, text, 4) == 4 && !memcmp(text, "/dev", 4));
	snprintf(link, sizeof(link), "/proc/self/task/%d/fd/%d", getpid(), vfio);
	len = readlink(link, text, sizeof(text));
	CHECK(len == 14 && !memcmp(text, "/dev/vfio/vfio", 14));
	close(fd);
	close(vfio);
}

static void paths_look_like_the_device(void)
{
	struct stat st;
	int fd;

	CHECK(stat("/dev/iommu", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(lstat("/dev/vfio/vfio", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(access("/dev/iommu", R_OK | W_OK) == 0);
	CHECK(access("/dev/vfio/vfio", F_OK) == 0);
	CHECK_ERRNO(ENOENT, access("/dev/vfio/nonexistent", F_OK));
	/* Others are what they were. */
	CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(major(st.st_rdev) == 1 && minor(st.st_rdev) == 3);
	fd = open("/dev/null", O_RDWR);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && major(st.st_rdev) == 1);
	close(fd);
}

static void closed_is_closed(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu();

	close(fd);
	CHECK_ERRNO(EBADF, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK_ERRNO(EBADF, ioctl(-1, IOMMU_IOAS_ALLOC, &cmd));
	/* Another file under the number is another file. */
	CHECK(open("/dev/null", O_RDWR) == fd);
	CHECK_ERRNO(ENOTTY, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	close(fd);
}

static void mapping_without_an_offset_of_ours_is_refused(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR);

	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	close(fd);
}

int main(void)
{
	every_way_to_open_makes_a_context();
	opens_that_must_fail_do();
	flags_and_numbers_are_the_kernels();
	descriptors_look_like_the_device();
	paths_look_like_the_device();
	closed_is_closed();
	mapping_without_an_offset_of_ours_is_refused();
	return 0;
}
