# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a file as a C array: embed.py INPUT OUTPUT NAME."""
import sys

source, target, name = sys.argv[1:]
with open(source, "rb") as file:
    octets = file.read()
with open(target, "w") as file:
    file.write("#include <stddef.h>\n#include <stdint.h>\n\n")
    file.write(f"extern const uint8_t {name}[];\nextern const size_t {name}_len;\n")
    file.write(f"const uint8_t {name}[] = {{\n")
    for at in range(0, len(octets), 16):
        file.write("    " + " ".join(f"{octet}," for octet in octets[at:at + 16]) + "\n")
    file.write(f"}};\nconst size_t {name}_len = sizeof {name};\n")
