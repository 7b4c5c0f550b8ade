"""The dropout mask of kernels/ops.h (bpi_block_spec), from its definition: Philox4x32-10 of Salmon, Moraes, Dror, Shaw (SC11).

test_golden_tools.py holds the generator to the answers that its authors publish.
"""
import math

import numpy as np

from notation import as_float32

WORD = 0xFFFFFFFF


def philox4x32(counter, key):
    """Ten rounds on four words of counter and two of key."""
    counter, key = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(right >> 32) ^ counter[1] ^ key[0], right & WORD, (left >> 32) ^ counter[3] ^ key[1], left & WORD]
        key = [(key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD]
    return counter


def halves(value):
    return [value & WORD, value >> 32 & WORD]


def dropout_mask(seed, step, layer, first_row, rows, outputs, p):
    """[rows, outputs]: 1 / (1 - p) where the element is kept, else 0. Layers count from 0, and every block is one."""
    p = as_float32(p)
    threshold = math.floor(p * 2.0 ** 32)
    blocks = (outputs + 3) // 4
    mask = np.zeros((rows, outputs))
    for row in range(rows):
        for block in range(blocks):
            counter = halves((first_row + row) * blocks + block) + halves(step << 16 | layer)
            for lane, word in enumerate(philox4x32(counter, halves(seed))):
                if 4 * block + lane < outputs and word >= threshold:
                    mask[row, 4 * block + lane] = 1.0 / (1.0 - p)
    return mask


def dropout_masks(blocks, seed, rows):
    """For each block its mask in step 0, None where it drops nothing."""
    return [dropout_mask(seed, 0, layer, 0, rows, block.units, block.dropout) if block.dropout else None
            for layer, block in enumerate(blocks)]
