/* SPDX-License-Identifier: MIT */
/*
 * Write to a disk and read it back, with a driver of our own in user space.
 *
 *	uiommufd run --device nvme,image=disk.img -- nvme_read [BDF]
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "nvme_user.h"

#define LENGTH (128u << 10)

int main(int argc, char **argv)
{
	struct nvme_user nvme;
	int status;

	nvme_user_open(&nvme, argc > 1 ? argv[1] : NULL, 2 * LENGTH);
	printf("%s: %.40s, %llu blocks of %u bytes\n", nvme.bdf, nvme.model,
	       (unsigned long long)nvme.blocks, nvme.block_size);
	for (unsigned int i = 0; i < LENGTH; i++)
		nvme.buffers[i] = (char)(i * 7 + i / 4096);
	status = nvme_user_io(&nvme, NVME_WRITE, 64, 0, LENGTH, true);
	if (!status)
		status = nvme_user_io(&nvme, NVME_FLUSH, 0, 0, 0, true);
	if (!status)
		status = nvme_user_io(&nvme, NVME_READ, 64, LENGTH, LENGTH, true);
	if (status)
		errx(1, "a command ended with status %#x", status);
	if (memcmp(nvme.buffers, nvme.buffers + LENGTH, LENGTH))
		errx(1, "what was read is not what was written");
	printf("%u KiB written, flushed and read back\n", LENGTH >> 10);
	nvme_user_close(&nvme);
	return 0;
}
