//! Gzip of whole bodies. One member per body: more than one, or anything after it, is refused.

use std::io::{Read, Write};

use bytes::Bytes;

use crate::coding::UnpackError;

/// Decompresses, and stops at `limit` bytes of output.
pub(crate) fn decompress(input: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
    let mut decoder = flate2::bufread::GzDecoder::new(input);
    // JSON shrinks to about a fifth, MessagePack less; what the trailer claims is not believed.
    let mut output = Vec::with_capacity(input.len().saturating_mul(6).min(limit));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(bound).read_to_end(&mut output).map_err(|_| UnpackError::Malformed)?;
    if output.len() > limit {
        return Err(UnpackError::TooLarge);
    }
    if !decoder.into_inner().is_empty() {
        return Err(UnpackError::Malformed);
    }
    Ok(output.into())
}

/// Compresses at the fastest level; `None` if that fails or does not make it smaller.
pub(crate) fn compress(input: &[u8]) -> Option<Bytes> {
    let buffer = Vec::with_capacity(input.len() / 4 + 64);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::fast());
    encoder.write_all(input).ok()?;
    let output = encoder.finish().ok()?;
    (output.len() < input.len()).then(|| output.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(input: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn round_trips_up_to_the_limit_exactly() {
        let input = b"abcdefgh".repeat(100);
        let packed = compress(&input).unwrap();
        assert_eq!(decompress(&packed, input.len()).unwrap(), input);
        assert_eq!(decompress(&packed, input.len() - 1), Err(UnpackError::TooLarge));
        assert_eq!(compress(b"x"), None);
    }

    #[test]
    fn only_one_whole_member_is_accepted() {
        let good = gzip(b"{\"a\":1}");
        let mut bad_checksum = good.clone();
        let at = bad_checksum.len() - 5;
        bad_checksum[at] ^= 1;
        let cases = [
            b"".to_vec(),
            b"{}".to_vec(),
            good[..good.len() - 1].to_vec(),
            good[..12].to_vec(),
            [&*good, b"x"].concat(),
            [&*good, &*good].concat(),
            gzip(b"").repeat(10_000),
            bad_checksum,
        ];
        for case in cases {
            assert_eq!(decompress(&case, 1 << 20), Err(UnpackError::Malformed), "{} bytes", case.len());
        }
    }
}
