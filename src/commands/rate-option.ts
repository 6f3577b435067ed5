import { UsageError, type CommandOption, type Invocation } from './command.ts';

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

export const rateOption: CommandOption = {
  type: 'string',
  value: 'RATE',
  default: '50MiB/s',
  description: 'Read so much content a second at most (default 50MiB/s; 0: as fast as it comes).',
};

/** @returns bytes a second, Infinity for any number. @throws UsageError */
export function parseRate({ values }: Invocation): number {
  const text = String(values['rate']);
  const [, number, unit] = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)\/s$/.exec(text) ?? [];
  const rate = text === '0' ? 0 : Number(number) * (UNITS[unit ?? ''] ?? Number.NaN);
  if (Number.isNaN(rate)) throw new UsageError(`--rate: '${text}' is not a rate such as 50MiB/s`);
  return rate === 0 ? Number.POSITIVE_INFINITY : rate;
}
