/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (polynomial 0x11edc6f41), eight bytes at a time by table.
 */
#include <string.h>

#include "devices/dsa/dsa.h"

#define CRC32C_REFLECTED 0x82f63b78U

static u32 table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_REFLECTED : 0);
		table[0][i] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (u32 i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

u32 dsa_reverse32(u32 value)
{
	value = (value & 0x55555555) << 1 | (value >> 1 & 0x55555555);
	value = (value & 0x33333333) << 2 | (value >> 2 & 0x33333333);
	value = (value & 0x0f0f0f0f) << 4 | (value >> 4 & 0x0f0f0f0f);
	return __builtin_bswap32(value);
}

static u32 crc_bytes(u32 crc, const u8 *data, size_t len, bool raw)
{
	for (size_t i = 0; i < len; i++) {
		u8 byte = raw ? dsa_reverse32(data[i]) >> 24 : data[i];

		crc = crc >> 8 ^ table[0][(crc ^ byte) & 0xff];
	}
	return crc;
}

u32 dsa_crc32c(u32 crc, const u8 *data, size_t len, bool raw)
{
	u64 word;

	pthread_once(&table_once, table_make);
	while (!raw && len >= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		word ^= crc;
		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= table[7 - i][word >> (8 * i) & 0xff];
		data += sizeof(word);
		len -= sizeof(word);
	}
	return crc_bytes(crc, data, len, raw);
}
