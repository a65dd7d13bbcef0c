/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iommufd/generic.h>
#include <iommufd/uapi/iommufd.h>

#include "bench.h"

void machine_open(struct machine *m)
{
	struct iommufd_system_opts opts = {.size = sizeof(opts), .trusted_memory = true};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	bench_check(!iommufd_system_create(&opts, &m->system), "iommufd_system_create");
	bench_check(!iommufd_generic_init(m->system), "iommufd_generic_init");
	bench_check(!iommufd_process_create(m->system, &m->proc), "iommufd_process_create");
	m->fd = iommufd_open(m->proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
	bench_check(m->fd >= 0, "iommufd_open");
	bench_check(!iommufd_ctx_from_fd(m->proc, m->fd, &m->ctx), "iommufd_ctx_from_fd");
	machine_command(m, IOMMU_IOAS_ALLOC, &alloc, "IOAS_ALLOC");
	m->ioas = alloc.out_ioas_id;
}

void machine_close(struct machine *m)
{
	iommufd_ctx_put(m->ctx);
	iommufd_close(m->proc, m->fd);
	iommufd_process_destroy(m->proc);
	iommufd_system_destroy(m->system);
}

void machine_command(struct machine *m, unsigned int number, void *cmd, const char *what)
{
	long rc = iommufd_ioctl(m->proc, m->fd, number, cmd);

	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-rc));
	exit(1);
}

void machine_map(struct machine *m, uint64_t iova, void *va, uint64_t length)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .ioas_id = m->ioas,
				     .user_va = (uintptr_t)va,
				     .length = length,
				     .iova = iova};

	machine_command(m, IOMMU_IOAS_MAP, &map, "IOAS_MAP");
}
