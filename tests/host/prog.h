/* SPDX-License-Identifier: MIT */
/*
 * What the programs here share.  They are the supervised side: plain programs
 * that use /dev/iommu and say by their exit status whether it behaved; 0 good,
 * 1 not, 77 something the test needs is missing here.
 */
#ifndef TESTS_HOST_PROG_H
#define TESTS_HOST_PROG_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#define SKIP_STATUS 77

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s (errno %s)\n", __FILE__, __LINE__,      \
				#cond, strerror(errno));                                           \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* The call fails, with this errno. */
#define CHECK_ERRNO(err, call)                                                                     \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((long)(call) == -1);                                                         \
		CHECK(errno == (err));                                                             \
	} while (0)

static inline void skip(const char *why)
{
	fprintf(stderr, "SKIP: %s\n", why);
	_exit(SKIP_STATUS);
}

static inline int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	return fd;
}

/* The new id; an id also proves which context it was: they count from 1. */
static inline uint32_t ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, &cmd) == 0);
	return cmd.out_ioas_id;
}

static inline int destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(fd, IOMMU_DESTROY, &cmd);
}

static inline int ioas_map(int fd, uint32_t ioas, void *va, size_t length, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
	};
	int rc = ioctl(fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

static inline void mock_domain(int fd, uint32_t ioas)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas,
	};

	if (ioctl(fd, IOMMU_TEST_CMD, &cmd) && errno == ENOTTY)
		skip("run without --selftest");
	CHECK(cmd.mock_domain.out_stdev_id);
}

/* Is every page pinned exactly @refs times? */
static inline int check_refs(int fd, void *va, size_t length, uint32_t refs)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.check_refs = { .length = length, .uptr = (uintptr_t)va, .refs = refs },
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

/* Exit status of a child that must end by itself. */
static inline int child_status(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
