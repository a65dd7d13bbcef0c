/* SPDX-License-Identifier: MIT */
/*
 * Which system calls come to us.  What arrives costs the program microseconds,
 * so a rule looks at arguments wherever they tell: only ioctls of our type
 * byte, fstat by descriptor and not stat by path, reads and writes only above
 * the number where files of ours that need it are put.
 *
 * libseccomp writes the program; it is loaded by the child with the raw system
 * call, because the flags it needs came after libseccomp's.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "pci/pci.h"

#define IOCTL_TYPE_MASK 0xff00u
#define IOCTL_TYPE 0x3b00u /* ';': IOMMUFD and VFIO */

struct filter_rule {
	int nr;
	unsigned int num_cmp;
	struct scmp_arg_cmp cmp[2];
};

/* Calls that mean a path or a change of the caller's identity. */
static const int calls_always[] = {
	SCMP_SYS(open),	      SCMP_SYS(creat),	   SCMP_SYS(openat),   SCMP_SYS(openat2),
	SCMP_SYS(fstat),      SCMP_SYS(readlink),  SCMP_SYS(readlinkat), SCMP_SYS(execve),
	SCMP_SYS(execveat),   SCMP_SYS(setuid),	   SCMP_SYS(setreuid), SCMP_SYS(setresuid),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
};

/* Only where the nodes are not really in the program's /dev. */
static const int calls_paths[] = {
	SCMP_SYS(stat),	  SCMP_SYS(lstat),     SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
};

/* Only on descriptors from the high base on. */
static const int calls_high[] = {
	SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(dup),
};

/* Those with an offset: on high descriptors, and wherever it says that it is a device's region. */
static const int calls_at[] = {
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),
	SCMP_SYS(pwritev), SCMP_SYS(preadv2),  SCMP_SYS(pwritev2),
};

static int filter_rules(scmp_filter_ctx ctx, int high_base, bool paths)
{
	const struct filter_rule rules[] = {
		{ SCMP_SYS(ioctl), 1,
		  { SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE) } },
		{ SCMP_SYS(newfstatat), 1,
		  { SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH) } },
		{ SCMP_SYS(statx), 1,
		  { SCMP_A2(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH) } },
		/* Mappings of files; private ones too, since ours refuse them. */
		{ SCMP_SYS(mmap), 1, { SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0) } },
		{ SCMP_SYS(fcntl), 2,
		  { SCMP_A0(SCMP_CMP_GE, high_base), SCMP_A1(SCMP_CMP_EQ, F_DUPFD) } },
		{ SCMP_SYS(fcntl), 2,
		  { SCMP_A0(SCMP_CMP_GE, high_base), SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC) } },
		{ SCMP_SYS(fcntl), 2,
		  { SCMP_A0(SCMP_CMP_GE, high_base), SCMP_A1(SCMP_CMP_EQ, F_GETFL) } },
		{ SCMP_SYS(ioctl), 1,
		  { SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, IOCTL_KVM_SET_DEVICE_ATTR) } },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls_always) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, calls_always[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls_paths) && !rc && paths; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, calls_paths[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls_high) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, calls_high[i], 1,
				      SCMP_A0(SCMP_CMP_GE, high_base));
	for (size_t i = 0; i < ARRAY_SIZE(calls_at) && !rc; i++) {
		rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, calls_at[i], 1,
				      SCMP_A0(SCMP_CMP_GE, high_base));
		if (!rc)
			rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, calls_at[i], 1,
					      SCMP_A3(SCMP_CMP_MASKED_EQ, PCI_REGION_TAG_MASK,
						      PCI_REGION_TAG));
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules) && !rc; i++) {
		if (paths &&
		    (rules[i].nr == SCMP_SYS(newfstatat) || rules[i].nr == SCMP_SYS(statx)))
			continue;
		rc = seccomp_rule_add_array(ctx, SCMP_ACT_NOTIFY, rules[i].nr, rules[i].num_cmp,
					    rules[i].cmp);
	}
	return rc;
}

/* The exported program, from the file libseccomp wants to write it to. */
static int filter_export(scmp_filter_ctx ctx, struct sock_fprog *prog)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0)
		return -errno;
	rc = seccomp_export_bpf(ctx, fd);
	if (!rc && fstat(fd, &st))
		rc = -errno;
	if (rc)
		goto out;
	prog->len = st.st_size / sizeof(*prog->filter);
	prog->filter = alloc_uninit(st.st_size);
	rc = -ENOMEM;
	if (!prog->filter)
		goto out;
	rc = pread(fd, prog->filter, st.st_size, 0) == st.st_size ? 0 : -EIO;
	if (rc)
		filter_free(prog);
out:
	close(fd);
	return rc;
}

int filter_build(int high_base, bool paths, struct sock_fprog *ret_prog)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!ctx)
		return -ENOMEM;
	/* A call by another architecture's numbers would pass by our rules. */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree by number: a native read() should meet three or four comparisons. */
	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!rc)
		rc = filter_rules(ctx, high_base, paths);
	if (!rc)
		rc = filter_export(ctx, ret_prog);
	seccomp_release(ctx);
	return rc;
}

void filter_free(struct sock_fprog *prog)
{
	free(prog->filter);
	prog->filter = NULL;
	prog->len = 0;
}
