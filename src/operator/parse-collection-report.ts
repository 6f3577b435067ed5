import {
  COLLECTION_PHASES,
  type CollectionReport,
  type CollectionResult,
} from '../contract/collection-report.ts';

const RESULTS: readonly CollectionResult[] = ['Succeeded', 'Failed', 'DrainTimeout', 'LeaseLost', 'Conflict'];
const LONGEST_MESSAGE = 1024;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/**
 * Reads a collector's report from a termination message. What is there may be cut, or be something else altogether,
 * such as the end of a log: undefined then.
 */
export function parseCollectionReport(text: string): CollectionReport | undefined {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map(Object.entries(value));
  const result = RESULTS.find((known) => known === fields.get('result'));
  const startTime = timeOf(fields.get('startTime'));
  const completionTime = timeOf(fields.get('completionTime'));
  if (result === undefined || startTime === undefined || completionTime === undefined) return undefined;
  const count = (name: string): number => {
    const number: unknown = fields.get(name);
    return typeof number === 'number' && Number.isFinite(number) && number > 0 ? Math.round(number) : 0;
  };
  const message: unknown = fields.get('message');
  return {
    result,
    message: typeof message === 'string' ? message.slice(0, LONGEST_MESSAGE) : '',
    dryRun: fields.get('dryRun') === true,
    startTime,
    completionTime,
    readOnlySeconds: count('readOnlySeconds'),
    repositoriesScanned: count('repositoriesScanned'),
    manifestsScanned: count('manifestsScanned'),
    blobsScanned: count('blobsScanned'),
    repositoriesDeleted: count('repositoriesDeleted'),
    uploadsDeleted: count('uploadsDeleted'),
    tagsDeleted: count('tagsDeleted'),
    manifestsDeleted: count('manifestsDeleted'),
    blobsDeleted: count('blobsDeleted'),
    linksDeleted: count('linksDeleted'),
    bytesReclaimed: count('bytesReclaimed'),
    bytesInTrash: count('bytesInTrash'),
    phaseSeconds: phaseSecondsOf(fields.get('phaseSeconds')),
  };
}

function phaseSecondsOf(value: unknown): CollectionReport['phaseSeconds'] {
  if (typeof value !== 'object' || value === null) return {};
  const seconds = new Map<string, unknown>(Object.entries(value));
  return Object.fromEntries(
    COLLECTION_PHASES.flatMap((phase) => {
      const took = seconds.get(phase);
      return typeof took === 'number' && took >= 0 ? [[phase, took]] : [];
    }),
  );
}

function timeOf(value: unknown): string | undefined {
  return typeof value === 'string' && TIME.test(value) ? value : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
