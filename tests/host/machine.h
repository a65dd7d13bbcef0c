/* SPDX-License-Identifier: MIT */
/*
 * The way in before a machine of this test's own; as fake.c, this program supervises itself.
 * machine_device.c and machine_names.c are the supervisor's half: two devices, one whose registers
 * are memory and one whose registers are calls, and names that come and go.  machine_files.c and
 * machine_calls.c are the program's.
 */
#ifndef TESTS_HOST_MACHINE_H
#define TESTS_HOST_MACHINE_H

#include "core/tree.h"
#include "host/host.h"
#include "pci/pci.h"
#include "prog.h"

#define CMD(nr) (0x3b00u + (nr))
#define CMD_PLUG CMD(0x90)   /* argument 1: another device appears, 0: it goes */
#define CMD_STORED CMD(0x91) /* the number last stored */
#define CMD_LAST CMD(0x92)   /* size of the last access, plus 0x100 for a write */
#define CMD_MAPS CMD(0x93)   /* mappings that have not ended */
#define CMD_MEMORY CMD(0x94) /* make the memory that is mapped */
#define CMD_FAIL CMD(0x95)   /* n: the nth allocation from now on fails, 0: none; what was left */
#define CMD_LET CMD(0x96)    /* so many stores that wait go on */
#define CMD_NO_THREAD CMD(0x97) /* so many threads of the supervisor cannot be made */

#define BAR_SIZE 8192
#define BAR(n) ((off_t)PCI_REGION_OFFSET(n))
#define PCI_DEV "/sys/devices/pci0000:00/0000:00:05.0"

/* ---- the supervisor's half ---- */

extern struct iommufd_system *machine;
extern _Atomic int stored;     /* what was last written to the attribute `count` */
extern _Atomic int opened;     /* devices */
extern _Atomic int *left_open; /* as main() sees it: what was, when the machine ended */

int machine_start(void *data, struct iommufd_system **ret_system);
void machine_stop(void *data);
/* The device of CMD_PLUG appears, or goes. */
int machine_plug(bool appears);
int dev_open(struct tree_entry *entry, int open_flags, struct file **ret_file);
void stores_let(unsigned int n);

/* ---- the program's half ---- */

extern int memory; /* the device whose registers are memory */

/* Names, files of sysfs, and regions of the device; @namespaces: directories can be listed. */
void files_are_as_linux_has_them(bool namespaces);
/* The device whose registers are calls. */
void registers_can_be_calls(void);
/* The main program of a process that its parent traces. */
int traced(void);

#endif
