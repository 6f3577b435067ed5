import type { FieldError, JsonObject } from '../kind.ts';
import { at, text } from '../kinds/read.ts';
import type { Deletion, WriteOptions } from '../objects.ts';
import { badRequest, internal, invalid } from '../status-error.ts';

const MOST_MANAGER_BYTES = 128;
const FIELD_VALIDATION = ['', 'Ignore', 'Strict', 'Warn'];

/**
 * The query of a write. `what` names the options in errors: `CreateOptions`, `UpdateOptions`, `PatchOptions`.
 * @throws {StatusError} 422
 */
export function parseWriteOptions(
  what: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  query: URLSearchParams,
  userAgent: string,
  isApply: boolean,
): Pick<WriteOptions, 'manager' | 'dryRun' | 'fieldValidation'> & { readonly force: boolean } {
  const manager = query.get('fieldManager') ?? '';
  const validation = query.get('fieldValidation') ?? '';
  const force = query.get('force');
  const errors: FieldError[] = [];
  if (what === 'PatchOptions') {
    if (isApply && manager === '')
      errors.push({ type: 'Required', path: 'fieldManager', detail: 'is required for apply patch' });
    if (!isApply && force !== null) {
      errors.push({ type: 'Forbidden', path: 'force', detail: 'may not be specified for non-apply patch' });
    }
  }
  errors.push(...managerErrors(manager), ...dryRunErrors(query));
  if (!FIELD_VALIDATION.includes(validation)) {
    const detail = `supported values: ${FIELD_VALIDATION.map((value) => JSON.stringify(value)).join(', ')}`;
    errors.push({ type: 'NotSupported', path: 'fieldValidation', value: validation, detail });
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: what }, '', errors);
  return {
    manager: manager === '' ? (userAgent.split('/')[0] ?? '').slice(0, MOST_MANAGER_BYTES) : manager,
    dryRun: query.getAll('dryRun').includes('All'),
    // One of those above.
    fieldValidation: (validation === '' ? 'Warn' : validation) as WriteOptions['fieldValidation'],
    force: force === 'true' || force === '1',
  };
}

function managerErrors(manager: string): readonly FieldError[] {
  if (Buffer.byteLength(manager) > MOST_MANAGER_BYTES) {
    return [
      { type: 'TooLong', path: 'fieldManager', detail: `may not be more than ${MOST_MANAGER_BYTES} bytes` },
    ];
  }
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u.test(manager)) return [];
  return [
    {
      type: 'Invalid',
      path: 'fieldManager',
      value: manager,
      detail: 'should only contain printable characters',
    },
  ];
}

function dryRunErrors(query: URLSearchParams): readonly FieldError[] {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.every((value) => value === 'All')) return [];
  return [{ type: 'NotSupported', path: 'dryRun', value: values, detail: 'supported values: "All"' }];
}

const POLICIES = ['Foreground', 'Background', 'Orphan', 'nil'];

/** The body of a DELETE, or without one its query. @throws {StatusError} 400, 422, 500 */
export function parseDeletion(
  body: JsonObject | undefined,
  query: URLSearchParams,
): Deletion & { readonly dryRun: boolean } {
  const kind = text(body, 'kind');
  if (kind !== '' && kind !== 'DeleteOptions') {
    throw internal(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(text(body, 'apiVersion'))} in scheme "pkg/runtime/scheme.go:110"`,
    );
  }
  const seconds = query.get('gracePeriodSeconds');
  if (seconds !== null && !/^[+-]?\d+$/.test(seconds)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(seconds)}: invalid syntax`);
  }
  const grace = at(body, 'gracePeriodSeconds') ?? (seconds === null ? undefined : Number(seconds));
  const policy = text(body, 'propagationPolicy') || (query.get('propagationPolicy') ?? '');
  const orphan = at(body, 'orphanDependents') ?? query.get('orphanDependents') ?? undefined;
  const errors: FieldError[] = [];
  if (policy !== '' && orphan !== undefined) {
    const detail = 'orphanDependents and deletionPropagation cannot be both set';
    errors.push({ type: 'Invalid', path: 'propagationPolicy', value: policy, detail });
  }
  if (policy !== '' && !POLICIES.slice(0, 3).includes(policy)) {
    const detail = `supported values: ${POLICIES.map((value) => JSON.stringify(value)).join(', ')}`;
    errors.push({ type: 'NotSupported', path: 'propagationPolicy', value: policy, detail });
  }
  errors.push(...dryRunErrors(query));
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  const dryRun = at(body, 'dryRun');
  return {
    uid: text(body, 'preconditions', 'uid') || undefined,
    resourceVersion: text(body, 'preconditions', 'resourceVersion') || undefined,
    gracePeriodSeconds: typeof grace === 'number' ? grace : undefined,
    propagationPolicy: policy !== '' ? policy : policyOf(orphan),
    dryRun: query.getAll('dryRun').includes('All') || (Array.isArray(dryRun) && dryRun.includes('All')),
  };
}

function policyOf(orphan: unknown): string | undefined {
  if (orphan === undefined) return undefined;
  return orphan === true || orphan === 'true' ? 'Orphan' : 'Background';
}
