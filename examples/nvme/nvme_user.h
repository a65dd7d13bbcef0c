/* SPDX-License-Identifier: MIT */
/*
 * A small user-space NVMe driver, as one would write it for Linux: it finds a disk in
 * sysfs, opens it by VFIO and iommufd, and keeps one queue pair in an arena of memory
 * that it shares with the disk.  Links with nothing of uiommufd.
 *
 * Errors that mean "this is not a working disk" end the program with a line; those of
 * single commands are returned.
 */
#ifndef NVME_USER_H
#define NVME_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NVME_DEPTH 256 /* entries of the queue pair */

enum { NVME_FLUSH = 0, NVME_WRITE = 1, NVME_READ = 2, NVME_WRITE_ZEROES = 8 };

/** struct nvme_user - an open disk */
struct nvme_user {
	char bdf[16];
	int iommu, device;
	uint32_t ioas;
	volatile uint8_t *regs;
	size_t regs_size;
	char *arena; /* queues first, then @buffers */
	char *buffers;
	size_t buffers_size;
	uint64_t blocks; /* of the namespace */
	uint32_t block_size;
	char model[41];
	int irq; /* eventfd of the I/O queue's vector */
	int request;           /* eventfd: the disk is to be given back */
	uint16_t admin_tail, admin_head, sq_tail, cq_head;
	uint8_t admin_phase, cq_phase;
};

/** nvme_user_open() - @bdf NULL: the first disk there is; @buffers: bytes for the caller's data */
void nvme_user_open(struct nvme_user *nvme, const char *bdf, size_t buffers);
void nvme_user_close(struct nvme_user *nvme);

/**
 * nvme_user_submit() - queue a command; not yet seen by the disk
 * @offset, @length: of data in @buffers, multiples of the page and the block
 */
void nvme_user_submit(struct nvme_user *nvme, uint8_t opcode, uint16_t cid, uint64_t lba,
		      size_t offset, size_t length);
/** nvme_user_ring() - show the disk what is queued */
void nvme_user_ring(struct nvme_user *nvme);
/** nvme_user_wanted() - does the machine want the disk back? */
bool nvme_user_wanted(struct nvme_user *nvme);
/** nvme_user_poll() - one completion: true, with its cid and status (0 good) */
bool nvme_user_poll(struct nvme_user *nvme, uint16_t *ret_cid, uint16_t *ret_status);

/**
 * nvme_user_io() - one command, waited for; by polling, or with @sleep by the interrupt
 * Return: its status; -1 nothing came for ten seconds.
 */
int nvme_user_io(struct nvme_user *nvme, uint8_t opcode, uint64_t lba, size_t offset, size_t length,
		 bool sleep);

#endif
