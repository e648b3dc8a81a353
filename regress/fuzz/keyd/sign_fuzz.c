/* SPDX-License-Identifier: ISC */
/* The shape checker. What it accepts must be of one of the few possible lengths. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "keyd/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	switch (sign_shape(data, len)) {
	case SIGN_SHAPE_TLS13:
		if ((len != 130 && len != 146 && len != 162) || data[0] != ' ')
			abort();
		break;
	case SIGN_SHAPE_TLS12:
		if ((len != 100 && len != 133 && len != 165 && len != 201) ||
		    data[64] != 3)
			abort();
		break;
	default:
		break;
	}
	return 0;
}
