"""Products of spikes with floats, without a multiplication: the method of the four Russians.

A row of 0s and 1s picks rows of a matrix to be added up. Four inputs can pick in 16 ways, so the 16 sums of
four rows are computed once and then looked up: a quarter of the additions, for any number of spikes.

**Bits.** Spikes are packed 32 to a word. A product sums over the *inputs* of its *rows*, and reads words
``[W, M]`` (`Words`): word w of row m holds its inputs ``32 w`` to ``32 w + 31``. Turned around, words along
the rows of the same spikes, they make the gradient of a weight the same product: ``spikes.T @ grad``.

**Tables.** For a word of inputs and a tile of columns as wide as 256 bytes there are 8 tables of 16 entries,
32 KB: they stay in the first-level cache. Each takes 11 additions a column to build: entry e is the entry
without e's highest bit, and one row of the matrix. A block of up to 512 rows then passes by; each takes 8
loads and additions a vector where a dense product has 32 multiplications. Its partial sums wait in the
second-level cache for the next word. With 8 inputs to a table, or with wider tiles, tables leave the first
level, and it takes three times as long.

**Order.** A row's sum begins with the bias, and takes word after word, in each the 8 entries in turn. It
depends on neither the other rows, nor how many there are, nor how active they are, nor on threads.

**Few spikes.** Below some activity, adding up a row of the matrix for each bit that is set is faster
(`added_rows`). It also multiplies, where numbers are not 0 or 1.

**Vectors.** numba's loops over columns were half as fast: a pointer may alias another, so LLVM asks at run
time. The kernels are printed with intrinsics that say ``<16 x float>``; LLVM makes them one AVX-512 register,
or two of AVX2.

**Images.** Convolutions have a layout of their own: `snnhw_cpu.lookup.images`.
"""

from snnhw_cpu.lookup.bits import Words, pack
from snnhw_cpu.lookup.products import added_rows, looked_up

__all__ = ["Words", "added_rows", "looked_up", "pack"]
