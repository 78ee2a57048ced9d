/* SPDX-License-Identifier: MIT */
/*
 * What several subcommands say in their --help
 */
#ifndef CVQ_CLI_USAGE_H
#define CVQ_CLI_USAGE_H

/* The options that decide what converts, and how. */
#define CVQ_POLICY_USAGE                                                                   \
	"  --quantize-hift           convert the vocoder too\n"                            \
	"  --convert GLOB            the files to convert (default *.pt)\n"                \
	"  --keep GLOB               further files to pass through\n"                      \
	"  --keep-tensor GLOB        further tensors to keep in FP32\n"                    \
	"  --dtype fp16|bf16         what FP32 becomes\n"                                  \
	"  --overflow inf|clamp      what numbers become that are too large for it\n"      \
	"  --checksum seal|exact|none, --align source|N, --symlinks auto|follow|keep\n"    \
	"                            as cvq-mount has them\n"                              \
	"  --config FILE             the configuration, in place of "                      \
	"~/.config/cvq/cvq.ini\n"                                                          \
	"                            or /etc/cvq.ini\n"

#endif
