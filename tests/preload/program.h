/* SPDX-License-Identifier: MIT */
/*
 * What the programs under test share: the kernel's interface, used as any
 * program uses it, by system calls of libc.  They are linked with nothing of
 * ours; that the library is in them shows only in what /dev/iommu does.
 */
#ifndef TESTS_PRELOAD_PROGRAM_H
#define TESTS_PRELOAD_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#define PAGE 4096UL

static inline int iommu_open(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

/* The id, or -1 and errno. */
static inline int ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	return ioctl(fd, IOMMU_IOAS_ALLOC, &cmd) ? -1 : (int)cmd.out_ioas_id;
}

static inline int ioas_map(int fd, int ioas, void *memory, size_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = (uint32_t)ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP, &cmd);
}

static inline int ioas_unmap(int fd, int ioas, uint64_t iova, size_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = (uint32_t)ioas,
		.iova = iova,
		.length = length,
	};

	return ioctl(fd, IOMMU_IOAS_UNMAP, &cmd);
}

/* A mock device on @ioas, so that what is mapped gets pinned.  Its id, or -1. */
static inline int mock_attach(int fd, int ioas)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = (uint32_t)ioas,
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd) ? -1 : (int)cmd.mock_domain.out_stdev_id;
}

/* A descriptor that reads and writes @ioas as a device would, or -1. */
static inline int access_open(int fd, int ioas)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = (uint32_t)ioas,
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd) ? -1 : (int)cmd.create_access.out_access_fd;
}

static inline int access_rw(int fd, int access_fd, uint64_t iova, const void *buf, size_t length,
			    unsigned int flags)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = (uint32_t)access_fd,
		.access_rw = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)buf,
			.flags = flags,
		},
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

static inline void *memory_map(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

/* Runs @body in a child; its status as waitpid() has it. */
static inline int in_child(int (*body)(void *data), void *data)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(body(data));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#endif
