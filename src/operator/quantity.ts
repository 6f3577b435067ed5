const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/;

/**
 * The number that a resource quantity stands for, or undefined for what is none. The API server rewrites quantities
 * (`1024Mi` becomes `1Gi`), so that two must be compared by their numbers.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function quantityValue(quantity: unknown): number | undefined {
  if (typeof quantity === 'number') return quantity;
  const match = typeof quantity === 'string' ? QUANTITY.exec(quantity) : null;
  if (match === null) return undefined;
  const [, digits = '', suffix = ''] = match;
  const factor = FACTORS[suffix];
  return factor === undefined ? Number(digits + suffix) : Number(digits) * factor;
}
