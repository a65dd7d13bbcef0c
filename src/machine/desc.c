/* SPDX-License-Identifier: MIT */
#include "machine/desc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define NUM_ACCESS     3
#define NUM_FRAMES     3
#define NUM_CONTAINERS 2

const char *const machine_access_names[] = {"poll", "no-mmap", "trap", "split", NULL};
const char *const machine_frames_names[] = {"contiguous", "huge-only", "random", NULL};
const char *const machine_container_names[] = {"native", "compat", NULL};

void machine_desc_init(struct machine_desc *desc, const struct device_model *const *models)
{
	*desc = (struct machine_desc){.models = models};
}

static void options_fini(struct machine_options *options)
{
	for (size_t i = 0; i < options->count; i++) {
		free((char *)options->list[i].key);
		free((char *)options->list[i].value);
	}
	free(options->list);
}

static void iommu_fini(struct machine_iommu *iommu)
{
	free(iommu->id);
	options_fini(&iommu->options);
}

void machine_device_fini(struct machine_device *device)
{
	free(device->id);
	free(device->iommu);
	options_fini(&device->options);
}

void machine_desc_fini(struct machine_desc *desc)
{
	for (size_t i = 0; i < desc->num_iommus; i++)
		iommu_fini(&desc->iommus[i]);
	for (size_t i = 0; i < desc->num_devices; i++)
		machine_device_fini(&desc->devices[i]);
	for (size_t i = 0; i < desc->num_sources; i++)
		free(desc->sources[i]);
	free(desc->iommus);
	free(desc->bridges);
	free(desc->devices);
	free(desc->sources);
	*desc = (struct machine_desc){.models = desc->models};
}

/* One more element for the array at @array; its bytes are zero. NULL: no memory. */
static void *array_grow(void *array, size_t *count, size_t size)
{
	void *grown;

	if (fault_point("alloc"))
		return NULL;
	grown = realloc(*(void **)array, (*count + 1) * size);
	if (!grown)
		return NULL;
	*(void **)array = grown;
	memset((char *)grown + *count * size, 0, size);
	return (char *)grown + (*count)++ * size;
}

static char *text_copy(const char *text)
{
	return fault_point("alloc") ? NULL : strdup(text);
}

const char *machine_desc_source(struct machine_desc *desc, const char *name)
{
	char *copy, **slot;

	for (size_t i = 0; i < desc->num_sources; i++)
		if (!strcmp(desc->sources[i], name))
			return desc->sources[i];
	copy = text_copy(name);
	slot = copy ? array_grow(&desc->sources, &desc->num_sources, sizeof(*slot)) : NULL;
	if (!slot)
		free(copy);
	else
		*slot = copy;
	return slot ? copy : NULL;
}

/* ---- errors ---- */

static int place_print(char *buf, size_t size, const struct machine_place *at)
{
	if (!at || !at->source)
		return 0;
	if (!at->line)
		return snprintf(buf, size, "%s: ", at->source);
	return snprintf(buf, size, "%s:%u:%u: ", at->source, at->line, at->column);
}

int machine_error_set(struct machine_error *error, const struct machine_place *at, const char *word,
		      const char *fmt, ...)
{
	size_t size = sizeof(error->text), len;
	va_list args;

	len = MIN((size_t)place_print(error->text, size, at), size - 1);
	/* A long word shall leave room for what is wrong with it. */
	len += (size_t)snprintf(error->text + len, size - len, "%.200s: ", word);
	len = MIN(len, size - 1);
	va_start(args, fmt);
	vsnprintf(error->text + len, size - len, fmt, args);
	va_end(args);
	for (char *p = error->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return -EINVAL;
}

static int no_memory(struct machine_error *error, const struct machine_item *item)
{
	machine_error_set(error, &item->at, "memory", "there is not enough");
	return -ENOMEM;
}

/* ---- words ---- */

static const struct machine_word *item_word(const struct machine_item *item, const char *key)
{
	for (size_t i = 0; i < item->count; i++)
		if (!strcmp(item->words[i].key, key))
			return &item->words[i];
	return NULL;
}

/* @key is "key" or "key=what it is" in a NULL-terminated list. */
static bool key_listed(const char *const *list, const char *key)
{
	size_t len = strlen(key);

	for (; list && *list; list++)
		if (!strncmp(*list, key, len) && ((*list)[len] == '=' || !(*list)[len]))
			return true;
	return false;
}

static int word_check(const struct machine_word *word, struct machine_error *error)
{
	if (strlen(word->value) > MACHINE_VALUE_MAX)
		return machine_error_set(error, &word->value_at, word->key,
					 "its value is longer than %d bytes", MACHINE_VALUE_MAX);
	for (const char *p = word->value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return machine_error_set(error, &word->value_at, word->key,
						 "its value has a control character");
	return 0;
}

/* Each key once, and known to us or to the model; values are text of a sane length. */
static int item_check(const struct machine_item *item, const char *what, const char *const *ours,
		      const char *const *models, struct machine_error *error)
{
	int rc = 0;

	if (item->count > MACHINE_KEYS_MAX)
		return machine_error_set(error, &item->at, what, "more than %d keys",
					 MACHINE_KEYS_MAX);
	for (size_t i = 0; !rc && i < item->count; i++) {
		const struct machine_word *word = &item->words[i];

		if (!key_listed(ours, word->key) && !key_listed(models, word->key))
			return machine_error_set(error, &word->key_at, word->key,
						 "unknown key of %s", what);
		if (item_word(item, word->key) != word)
			return machine_error_set(error, &word->key_at, word->key, "given twice");
		rc = word_check(word, error);
	}
	return rc;
}

static void join(char *buf, size_t size, const char *const *names)
{
	size_t len = 0;

	*buf = 0;
	for (; *names && len < size; names++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", *names);
}

static int word_choice(const struct machine_word *word, const char *const *names, int *ret,
		       struct machine_error *error)
{
	char all[256];

	for (int i = 0; names[i]; i++) {
		if (strcmp(word->value, names[i]))
			continue;
		*ret = i;
		return 0;
	}
	join(all, sizeof(all), names);
	return machine_error_set(error, &word->value_at, word->value, "not a value of %s: %s",
				 word->key, all);
}

static int word_addr(const struct machine_word *word, struct pci_addr *ret,
		     struct machine_error *error)
{
	if (pci_addr_parse(word->value, ret))
		return 0;
	return machine_error_set(error, &word->value_at, word->value,
				 "not an address: DOMAIN:BUS:DEVICE.FUNCTION, as 0000:01:00.0");
}

static int word_number(const struct machine_word *word, u32 min, u32 max, u32 *ret,
		       struct machine_error *error)
{
	const char *text = word->value;
	unsigned long n;
	char *end;

	errno = 0;
	n = isdigit((unsigned char)*text) ? strtoul(text, &end, 0) : 0;
	if (!isdigit((unsigned char)*text) || *end || errno || n < min || n > max)
		return machine_error_set(error, &word->value_at, text,
					 "%s is a number from %u to %u", word->key, min, max);
	*ret = (u32)n;
	return 0;
}

static int word_bool(const struct machine_word *word, bool *ret, struct machine_error *error)
{
	static const char *const names[] = {"false", "true", "no", "yes", "off", "on", NULL};
	int index = 0, rc;

	rc = word_choice(word, names, &index, error);
	if (!rc)
		*ret = index & 1;
	return rc;
}

static int word_id(const struct machine_word *word, struct machine_error *error)
{
	const char *p = word->value;

	while (isalnum((unsigned char)*p) || (p > word->value && strchr("-_.", *p) && *p))
		p++;
	if (*p || p == word->value || p - word->value > MACHINE_ID_MAX)
		return machine_error_set(error, &word->value_at, word->value,
					 "not a name: letters, digits, - _ . (at most %d)",
					 MACHINE_ID_MAX);
	return 0;
}

/* The keys that are the model's own, copied. */
static int options_copy(struct machine_options *options, const struct machine_item *item,
			const char *const *ours)
{
	for (size_t i = 0; i < item->count; i++) {
		const struct machine_word *word = &item->words[i];
		struct device_option *option;

		if (key_listed(ours, word->key))
			continue;
		option = array_grow(&options->list, &options->count, sizeof(*option));
		if (!option)
			return -ENOMEM;
		option->key = text_copy(word->key);
		option->value = text_copy(word->value);
		if (!option->key || !option->value)
			return -ENOMEM;
	}
	return 0;
}

/* ---- sections ---- */

int machine_desc_memory(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error)
{
	static const char *const keys[] = {"frames", NULL};
	const struct machine_word *word;
	int index = 0, rc;

	rc = item_check(item, "memory", keys, NULL, error);
	word = item_word(item, "frames");
	if (rc || !word)
		return rc;
	rc = word_choice(word, machine_frames_names, &index, error);
	if (rc)
		return rc;
	desc->frames = (enum iommufd_frame_policy)index;
	desc->frames_set = true;
	return 0;
}

int machine_desc_container(struct machine_desc *desc, const struct machine_word *word,
			   struct machine_error *error)
{
	int index = 0, rc;

	rc = word_choice(word, machine_container_names, &index, error);
	if (rc)
		return rc;
	desc->container = (enum vfio_container_kind)index;
	desc->container_set = true;
	return 0;
}

static const struct iommu_model *iommu_model_find(const char *name)
{
	const struct iommu_model *const *model = iommu_models;

	while (*model && strcmp((*model)->name, name))
		model++;
	return *model;
}

static int no_model(const struct machine_item *item, const struct machine_word *word,
		    const char *what, const char *const *names, struct machine_error *error)
{
	char all[256];

	if (!word)
		return machine_error_set(error, &item->at, what, "its model is missing");
	join(all, sizeof(all), names);
	return machine_error_set(error, &word->value_at, word->value, "no such model of %s: %s",
				 what, all);
}

static int iommu_model_word(const struct machine_item *item, const struct iommu_model **ret,
			    struct machine_error *error)
{
	const struct machine_word *word = item_word(item, "model");
	const char *names[32] = {NULL};

	*ret = word ? iommu_model_find(word->value) : NULL;
	if (*ret)
		return 0;
	for (size_t i = 0; iommu_models[i] && i < ARRAY_SIZE(names) - 1; i++)
		names[i] = iommu_models[i]->name;
	return no_model(item, word, "IOMMU", names, error);
}

static int device_model_word(const struct machine_desc *desc, const struct machine_item *item,
			     const struct device_model **ret, struct machine_error *error)
{
	const struct machine_word *word = item_word(item, "model");
	const char *names[32] = {NULL};

	for (size_t i = 0; desc->models[i]; i++) {
		*ret = desc->models[i];
		if (word && !strcmp((*ret)->name, word->value))
			return 0;
		if (i < ARRAY_SIZE(names) - 1)
			names[i] = (*ret)->name;
	}
	return no_model(item, word, "device", names, error);
}

static bool id_taken(const struct machine_desc *desc, const char *id)
{
	for (size_t i = 0; i < desc->num_iommus; i++)
		if (!strcmp(desc->iommus[i].id, id))
			return true;
	for (size_t i = 0; i < desc->num_devices; i++)
		if (!strcmp(desc->devices[i].id, id))
			return true;
	return false;
}

/* What the item says, or the model's name with the lowest number that is free. */
static int id_choose(const struct machine_desc *desc, const struct machine_item *item,
		     const char *model, char **ret_id, struct machine_error *error)
{
	const struct machine_word *word = item_word(item, "id");
	char id[MACHINE_ID_MAX + 16];
	int rc;

	if (word) {
		rc = word_id(word, error);
		if (rc)
			return rc;
		if (id_taken(desc, word->value))
			return machine_error_set(error, &word->value_at, word->value,
						 "there is one of this name already");
		snprintf(id, sizeof(id), "%s", word->value);
	}
	for (u32 n = 0; !word && (!n || id_taken(desc, id)); n++)
		snprintf(id, sizeof(id), "%.60s%u", model, n);
	*ret_id = text_copy(id);
	return *ret_id ? 0 : no_memory(error, item);
}

int machine_desc_iommu(struct machine_desc *desc, const struct machine_item *item,
		       struct machine_error *error)
{
	static const char *const keys[] = {"model", "id", NULL};
	struct machine_iommu iommu = {.at = item->at}, *slot;
	int rc;

	rc = iommu_model_word(item, &iommu.model, error);
	if (!rc)
		rc = item_check(item, "IOMMU", keys, iommu.model->keys, error);
	for (size_t i = 0; !rc && i < desc->num_iommus; i++)
		if (desc->iommus[i].model == iommu.model)
			return machine_error_set(error, &item->at, iommu.model->name,
						 "a machine has at most one of these");
	if (!rc && desc->num_iommus >= MACHINE_IOMMUS_MAX)
		return machine_error_set(error, &item->at, "iommus", "more than %d",
					 MACHINE_IOMMUS_MAX);
	if (!rc)
		rc = id_choose(desc, item, iommu.model->name, &iommu.id, error);
	if (!rc && options_copy(&iommu.options, item, keys))
		rc = no_memory(error, item);
	if (rc)
		goto err;
	slot = array_grow(&desc->iommus, &desc->num_iommus, sizeof(*slot));
	if (slot) {
		*slot = iommu;
		return 0;
	}
	rc = no_memory(error, item);
err:
	iommu_fini(&iommu);
	return rc;
}

static int bridge_words(struct machine_bridge *bridge, const struct machine_item *item,
			struct machine_error *error)
{
	const struct machine_word *addr = item_word(item, "addr"), *bus = item_word(item, "bus"),
				  *acs = item_word(item, "acs");
	u32 secondary = 0;
	int rc;

	if (!addr || !bus)
		return machine_error_set(error, &item->at, "bridge", "its %s is missing",
					 addr ? "bus" : "addr");
	rc = word_addr(addr, &bridge->desc.addr, error);
	if (!rc)
		rc = word_number(bus, 1, 255, &secondary, error);
	if (rc)
		return rc;
	bridge->desc.secondary = (u8)secondary;
	return acs ? word_bool(acs, &bridge->desc.acs, error) : 0;
}

int machine_desc_bridge(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error)
{
	static const char *const keys[] = {"addr", "bus", "acs", NULL};
	struct machine_bridge bridge = {.at = item->at, .desc.acs = true}, *slot;
	int rc;

	rc = item_check(item, "bridge", keys, NULL, error);
	if (!rc)
		rc = bridge_words(&bridge, item, error);
	if (rc)
		return rc;
	if (desc->num_bridges >= MACHINE_BRIDGES_MAX)
		return machine_error_set(error, &item->at, "bridges", "more than %d",
					 MACHINE_BRIDGES_MAX);
	slot = array_grow(&desc->bridges, &desc->num_bridges, sizeof(*slot));
	if (!slot)
		return no_memory(error, item);
	*slot = bridge;
	return 0;
}

static const char *const device_keys[] = {"model", "id", "addr", "iommu", "access", NULL};

static int device_words(struct machine_desc *desc, struct machine_device *device,
			const struct machine_item *item, struct machine_error *error)
{
	const struct machine_word *addr = item_word(item, "addr"),
				  *access = item_word(item, "access"),
				  *iommu = item_word(item, "iommu");
	int index = (int)device->model->access, rc = 0;

	if (addr) {
		device->placed = true;
		rc = word_addr(addr, &device->addr, error);
	}
	if (!rc && access)
		rc = word_choice(access, machine_access_names, &index, error);
	device->access = (enum pci_access)index;
	if (!rc && iommu)
		rc = word_id(iommu, error);
	if (rc)
		return rc;
	if (iommu) {
		device->iommu = text_copy(iommu->value);
		if (!device->iommu)
			return no_memory(error, item);
	}
	rc = id_choose(desc, item, device->model->name, &device->id, error);
	if (!rc && options_copy(&device->options, item, device_keys))
		rc = no_memory(error, item);
	return rc;
}

int machine_desc_device(struct machine_desc *desc, const struct machine_item *item,
			struct machine_error *error)
{
	struct machine_device device = {.at = item->at}, *slot;
	int rc;

	rc = device_model_word(desc, item, &device.model, error);
	if (!rc)
		rc = item_check(item, device.model->name, device_keys, device.model->keys, error);
	if (!rc && desc->num_devices >= MACHINE_DEVICES_MAX)
		return machine_error_set(error, &item->at, "devices", "more than %d",
					 MACHINE_DEVICES_MAX);
	if (!rc)
		rc = device_words(desc, &device, item, error);
	if (rc)
		goto err;
	slot = array_grow(&desc->devices, &desc->num_devices, sizeof(*slot));
	if (slot) {
		*slot = device;
		return 0;
	}
	rc = no_memory(error, item);
err:
	machine_device_fini(&device);
	return rc;
}
