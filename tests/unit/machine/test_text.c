/* SPDX-License-Identifier: MIT */
/* What the command line says of a machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fake_models.h"

static struct machine_desc desc;
static struct machine_error error;

static int begin(void **state)
{
	machine_desc_init(&desc, fake_models);
	return 0;
}

static int end(void **state)
{
	machine_desc_fini(&desc);
	return 0;
}

static int device(const char *text)
{
	return machine_desc_text(&desc, "--device", text, machine_desc_device, &error);
}

static void the_first_word_is_the_model(void **state)
{
	assert_int_equal(device("nvme,addr=0000:01:00.0,image=disk.img,access=trap"), 0);
	assert_string_equal(desc.devices[0].model->name, "nvme");
	assert_int_equal(desc.devices[0].addr.bus, 1);
	assert_int_equal(desc.devices[0].access, PCI_ACCESS_TRAP);
	assert_string_equal(desc.devices[0].options.list[0].key, "image");
	assert_int_equal(device("model=dsa"), 0);
	assert_string_equal(desc.devices[1].id, "dsa0");
}

static void a_comma_in_a_value_is_doubled(void **state)
{
	assert_int_equal(device("nvme,image=a,,b=c,size=1M"), 0);
	assert_string_equal(desc.devices[0].options.list[0].value, "a,b=c");
	assert_string_equal(desc.devices[0].options.list[1].value, "1M");
}

static void mistakes_name_the_option_and_the_word(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "--device: : not of the form key=value"},
		{"nvme,", "--device: : not of the form key=value"},
		{"nvme,fast", "--device: fast: not of the form key=value"},
		{"nvme,=x", "--device: : unknown key of nvme"},
		{"floppy", "--device: floppy: no such model of device: nvme, dsa"},
		{"nvme,size=1,size=2", "--device: size: given twice"},
		{"nvme,model=dsa", "--device: model: given twice"},
		{"nvme,addr=x", "--device: x: not an address"},
		{"addr=00:01.0", "--device: device: its model is missing"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(device(rows[i].text), -EINVAL);
		if (strncmp(error.text, rows[i].says, strlen(rows[i].says)))
			fail_msg("\"%s\", not \"%s\"", error.text, rows[i].says);
		assert_int_equal(desc.num_devices, 0);
	}
}

static void too_many_keys_are_refused(void **state)
{
	char text[1024] = "nvme";

	for (int i = 0; i < MACHINE_KEYS_MAX + 1; i++)
		sprintf(text + strlen(text), ",k%d=1", i);
	assert_int_equal(device(text), -EINVAL);
	assert_non_null(strstr(error.text, "more than 32 keys"));
}

static void the_default_machine_has_an_engine_and_a_disk(void **state)
{
	assert_int_equal(machine_desc_default(&desc, &error), 0);
	assert_int_equal(machine_desc_finish(&desc, &error), 0);
	assert_int_equal(desc.num_iommus, 1);
	assert_int_equal(desc.num_devices, 2);
	assert_string_equal(desc.devices[0].id, "dsa0");
	assert_string_equal(desc.devices[1].id, "nvme0");
	assert_int_equal(desc.devices[1].addr.devfn, 2 << 3);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
	assert_int_equal(device("\x1b[31mnvme"), -EINVAL);
	assert_null(strchr(error.text, 0x1b));
}

#define fresh(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fresh(the_first_word_is_the_model),
		fresh(a_comma_in_a_value_is_doubled),
		fresh(mistakes_name_the_option_and_the_word),
		fresh(too_many_keys_are_refused),
		fresh(the_default_machine_has_an_engine_and_a_disk),
		fresh(control_characters_do_not_reach_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
