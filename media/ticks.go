package media

import (
	"math/bits"
	"time"
)

// ToDuration converts ticks of the given rate (ticks per second, > 0) to a
// duration, rounded towards zero. It does not overflow where the result fits:
// the product is taken in 128 bits.
func ToDuration(ticks int64, rate int) time.Duration {
	return time.Duration(mulDiv(ticks, int64(time.Second), int64(rate)))
}

// ToTicks converts a duration to ticks of the given rate (ticks per second,
// > 0), rounded to the nearest tick, so that ToTicks(ToDuration(n, r), r) == n
// for every rate up to 500 MHz.
func ToTicks(d time.Duration, rate int) int64 {
	half := int64(time.Second) / 2
	if d < 0 {
		half = -half
	}
	return mulDivAdd(int64(d), int64(rate), half, int64(time.Second))
}

func mulDiv(a, b, c int64) int64 { return mulDivAdd(a, b, 0, c) }

// mulDivAdd returns (a×b + add) / c with a 128-bit product. b and c are
// positive, add has the sign of a.
func mulDivAdd(a, b, add, c int64) int64 {
	neg := a < 0
	if neg {
		a, add = -a, -add
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(add), 0)
	q, _ := bits.Div64((hi+carry)%uint64(c), lo, uint64(c))
	if neg {
		return -int64(q)
	}
	return int64(q)
}
