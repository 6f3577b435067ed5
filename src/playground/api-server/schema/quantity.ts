/** Resource quantities such as `500m` and `1.5Gi`, exact to a billionth as in Kubernetes. */
const PATTERN = /^([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$/;

export const QUANTITY_RULE =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const NANOS = 1_000_000_000n;

/** Billionths of a quantity, rounded away from zero; undefined when it is none. */
export function parseQuantity(text: string): bigint | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, sign, digits = '', suffix = ''] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const { numerator, denominator } = scale(suffix);
  const value = BigInt(whole + fraction) * NANOS * numerator;
  const divisor = 10n ** BigInt(fraction.length) * denominator;
  const nanos = (value + divisor - 1n) / divisor;
  return sign === '-' ? -nanos : nanos;
}

function scale(suffix: string): { readonly numerator: bigint; readonly denominator: bigint } {
  const exponent = /^[eE]([+-]?[0-9]+)$/.exec(suffix);
  const power = exponent === null ? (DECIMAL.indexOf(suffix) - 3) * 3 : Number(exponent[1]);
  if (suffix.endsWith('i')) return { numerator: 1024n ** BigInt(BINARY.indexOf(suffix)), denominator: 1n };
  return power >= 0
    ? { numerator: 10n ** BigInt(power), denominator: 1n }
    : { numerator: 1n, denominator: 10n ** BigInt(-power) };
}
