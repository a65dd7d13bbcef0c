/* SPDX-License-Identifier: MIT */
/*
 * A machine with toys on its buses and this process as its program.
 *
 *	0000:00:01.0 .. 03.0   root ports to buses 1, 2, 3
 *	0000:01:00.0           toys[0]
 *	0000:02:00.0, 00.1     toys[1], toys[2]: of one bus, each in a group of its own
 */
#ifndef TESTS_VFIO_RIG_H
#define TESTS_VFIO_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <iommufd/ctx.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#include "pci/topology.h"
#include "toy.h"
#include "vfio/vfio.h"

#define TOYS 3

struct rig {
	struct iommufd_system *system;
	struct pci_topology *topology;
	struct vfio *vfio;
	struct iommufd_process *proc;
	struct toy *toys[TOYS];
	int iommu;
};

extern struct rig rig;

/* For cmocka; what the toys are made with may be set before. */
extern enum pci_access rig_access;
extern enum vfio_container_kind rig_kind;
extern unsigned int rig_toy_flags;
int rig_begin(void **state);
int rig_end(void **state);

#define PCI_ADDR(b, d, f) ((struct pci_addr){.bus = (b), .devfn = (d) << 3 | (f)})

int rig_open(const char *path);
long rig_ioctl(int fd, unsigned int cmd, void *arg);
void rig_close(int fd);

/* A device by its node: open, bound, attached to @ioas (0: not). */
int rig_cdev(unsigned int toy);
int rig_bind(int fd, int iommufd, u32 *ret_id);
int rig_attach(int fd, u32 pt, u32 *ret_pt);
int rig_device(unsigned int toy, u32 ioas);
u32 rig_ioas(void);
int rig_map(u32 ioas, void *va, u64 length, u64 iova);

/* Registers of BAR 0 through calls; the value, or what pread() said if negative. */
s64 rig_read(int fd, u64 offset, unsigned int size);
ssize_t rig_write(int fd, u64 offset, u64 value, unsigned int size);
u32 rig_config_read(int fd, u32 offset, unsigned int size);
void rig_config_write(int fd, u32 offset, u32 value, unsigned int size);

/* SET_IRQS with @count fds (or bytes). */
long rig_irqs(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data);
int rig_eventfd(void);
u64 rig_count(int eventfd); /* since the last look; 0: none */

#endif
