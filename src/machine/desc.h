/* SPDX-License-Identifier: MIT */
/*
 * The description of a machine: what a file or the command line says.  Either
 * becomes items (a section's name and keys with values), and items become
 * the description here, so that both know the same keys, limits and errors.
 *
 * A description is used by one thread.
 */
#ifndef MACHINE_DESC_H
#define MACHINE_DESC_H

#include <iommufd/system.h>

#include "machine/iommu_model.h"
#include "pci/topology.h"
#include "vfio/vfio.h"

#define MACHINE_IOMMUS_MAX  16
#define MACHINE_BRIDGES_MAX 255
#define MACHINE_DEVICES_MAX 256
#define MACHINE_KEYS_MAX    32	 /* of one item */
#define MACHINE_VALUE_MAX   4095 /* bytes of a value */
#define MACHINE_ID_MAX	    63
#define MACHINE_ERROR_MAX   1024

/** struct machine_error - what is wrong: "FILE:LINE:COLUMN: word: why" or "--device: word: why" */
struct machine_error {
	char text[MACHINE_ERROR_MAX];
};

/**
 * struct machine_place - where a word was said
 * @source: a file's name or an option's; the description's (machine_desc_source())
 * @line, @column: from 1; 0: not of a file
 */
struct machine_place {
	const char *source;
	u32 line, column;
};

/** struct machine_word - one key with its value; borrowed */
struct machine_word {
	const char *key;
	const char *value;
	struct machine_place key_at;
	struct machine_place value_at;
};

/** struct machine_item - the words of one thing; borrowed */
struct machine_item {
	struct machine_place at;
	const struct machine_word *words;
	size_t count;
};

/** struct machine_options - a model's own keys; owned */
struct machine_options {
	struct device_option *list;
	size_t count;
};

/** struct machine_iommu - @id: how devices name it */
struct machine_iommu {
	struct machine_place at;
	const struct iommu_model *model;
	char *id;
	struct machine_options options;
};

/** struct machine_bridge - @implied: made for a device on a bus that nobody described */
struct machine_bridge {
	struct machine_place at;
	struct pci_bridge_desc desc;
	bool implied;
};

/**
 * struct machine_device
 * @id: how control commands name it, besides its address
 * @iommu: the id of its IOMMU, or NULL: the first one
 * @placed: @addr is set; else it gets the next free slot of bus 0
 */
struct machine_device {
	struct machine_place at;
	const struct device_model *model;
	char *id;
	char *iommu;
	bool placed;
	struct pci_addr addr;
	enum pci_access access;
	struct machine_options options;
};

/**
 * struct machine_desc - all of it
 * @models: the devices there are, NULL-terminated
 * @frames_set: somebody said so
 * @sources: names that places point to
 */
struct machine_desc {
	const struct device_model *const *models;
	bool frames_set, container_set;
	enum iommufd_frame_policy frames;
	enum vfio_container_kind container;
	struct machine_iommu *iommus;
	size_t num_iommus;
	struct machine_bridge *bridges;
	size_t num_bridges;
	struct machine_device *devices;
	size_t num_devices;
	char **sources;
	size_t num_sources;
};

/** machine_desc_init() - an empty one; @models: device_models */
void machine_desc_init(struct machine_desc *desc, const struct device_model *const *models);
/** machine_desc_fini() - also of one that was left half made */
void machine_desc_fini(struct machine_desc *desc);

/** machine_desc_source() - keep a name for places; NULL: no memory */
const char *machine_desc_source(struct machine_desc *desc, const char *name);

/**
 * machine_error_set() - write @error; -EINVAL, for the caller to return
 * @word: the offending one, quoted as it is but for control characters
 */
int machine_error_set(struct machine_error *error, const struct machine_place *at, const char *word,
		      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * machine_desc_memory() ... machine_desc_device() - one more of this kind
 * Return: 0; -EINVAL a word is wrong, -ENOMEM; @error says so; @desc is as before.
 */
int machine_desc_memory(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error);
int machine_desc_container(struct machine_desc *desc, const struct machine_word *word,
			   struct machine_error *error);
int machine_desc_iommu(struct machine_desc *desc, const struct machine_item *item,
		       struct machine_error *error);
int machine_desc_bridge(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error);
int machine_desc_device(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error);

/**
 * machine_desc_text() - an option of the command line: "nvme,addr=01:00.0,image=disk"
 * @source: "--device"; @add: one of the above; a comma in a value is written ",,"
 * Return: as @add.
 */
int machine_desc_text(struct machine_desc *desc, const char *source, const char *text,
		      int (*add)(struct machine_desc *desc, const struct machine_item *item,
				 struct machine_error *error),
		      struct machine_error *error);

/** machine_desc_file() - what a YAML file says, added to @desc.  Return: 0, -errno of reading,
 * -EINVAL */
int machine_desc_file(struct machine_desc *desc, const char *path, struct machine_error *error);
/** machine_desc_yaml() - the same from memory; @source: for errors */
int machine_desc_yaml(struct machine_desc *desc, const char *source, const void *text, size_t len,
		      struct machine_error *error);

/** machine_desc_default() - nothing was said: one generic IOMMU, a DSA and a small NVMe disk */
int machine_desc_default(struct machine_desc *desc, struct machine_error *error);

/**
 * machine_desc_finish() - see that it makes sense as a whole, and fill in what was left open
 *
 * IOMMUs that are named exist; every address is taken once; a device on a bus without a bridge gets
 * a root port; one without an address a slot; devices without any IOMMU get a generic one.
 */
int machine_desc_finish(struct machine_desc *desc, struct machine_error *error);

/** machine_desc_place() - fill in what @device left open; for one that is added later */
int machine_desc_place(struct machine_desc *desc, struct machine_device *device,
		       struct machine_error *error);

/** machine_device_fini() - free what is in it */
void machine_device_fini(struct machine_device *device);

extern const char *const machine_access_names[];    /* by enum pci_access */
extern const char *const machine_frames_names[];    /* by enum iommufd_frame_policy */
extern const char *const machine_container_names[]; /* by enum vfio_container_kind */

#endif
