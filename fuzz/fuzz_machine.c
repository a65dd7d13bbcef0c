/* SPDX-License-Identifier: MIT */
/*
 * Machine files and options: whatever the bytes are, they make a description or an error
 * that says something, and nothing is left of either.  The first byte chooses which.
 */
#include <stdlib.h>
#include <string.h>

#include "machine/desc.h"
#include "target.h"

static const char *const disk_keys[] = {"image=file", "size=bytes", NULL};
static const struct device_model disk = {.name = "nvme", .keys = disk_keys};
static const struct device_model engine = {.name = "dsa", .keys = disk_keys + 2};
static const struct device_model *const models[] = {&disk, &engine, NULL};

static int read_one(struct machine_desc *desc, u8 kind, const char *text, size_t size,
		    struct machine_error *error)
{
	switch (kind % 4) {
	case 0:
		return machine_desc_text(desc, "--device", text, machine_desc_device, error);
	case 1:
		return machine_desc_text(desc, "--bridge", text, machine_desc_bridge, error);
	case 2:
		return machine_desc_text(desc, "--iommu", text, machine_desc_iommu, error);
	default:
		return machine_desc_yaml(desc, "file", text, size, error);
	}
}

static void check(const struct machine_desc *desc, int rc, const struct machine_error *error)
{
	if (!rc != !error->text[0])
		target_fail("a mistake without words, or words without a mistake");
	for (size_t i = 0; !rc && i < desc->num_devices; i++)
		if (!desc->devices[i].placed)
			target_fail("a device without an address");
}

void target_input(struct caller *caller)
{
	struct choice *choice = &caller->choice;
	struct machine_error error = {""};
	struct machine_desc desc;
	u8 kind = choice_byte(choice);
	size_t size = choice->left;
	char *text = calloc(1, size + 1);
	int rc;

	if (!text)
		return;
	if (size)
		memcpy(text, choice->bytes, size);
	choice->left = 0;
	machine_desc_init(&desc, models);
	rc = read_one(&desc, kind, text, size, &error);
	if (!rc)
		rc = machine_desc_finish(&desc, &error);
	check(&desc, rc, &error);
	machine_desc_fini(&desc);
	free(text);
}
