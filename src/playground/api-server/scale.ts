import { goPlain, goType } from './fields/go-format.ts';
import {
  isJsonObject,
  type FieldError,
  type Json,
  type JsonObject,
  type Kind,
  type ScalePaths,
} from './kind.ts';
import { at, count, object, text } from './kinds/read.ts';
import { badRequest, invalid } from './status-error.ts';
import { objectOf } from './fields/json.ts';

/** The Scale of an object, as `kubectl scale` and autoscalers see it. */
export function scaleOf(paths: ScalePaths, of: JsonObject): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object(of, 'metadata');
  const replicas = count(of, ...fields(paths.specReplicasPath));
  const selector =
    paths.labelSelectorPath === undefined ? undefined : at(of, ...fields(paths.labelSelectorPath));
  const selectorText = typeof selector === 'string' ? selector : labelsText(object(selector, 'matchLabels'));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: objectOf(
      Object.entries({ name, namespace, uid, resourceVersion, creationTimestamp }).map(([key, value]) => [
        key,
        value,
      ]),
    ),
    spec: replicas === 0 ? {} : { replicas },
    status: objectOf([
      ['replicas', count(of, ...fields(paths.statusReplicasPath))],
      ['selector', selectorText === '' ? undefined : selectorText],
    ]),
  };
}

const fields = (path: string): readonly string[] => path.split('.').filter((name) => name !== '');

const labelsText = (labels: JsonObject): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${text(value)}`)
    .sort()
    .join(',');

/** What is wrong with the numbers that a Scale would show. */
export function scaleErrors(kind: Kind, of: JsonObject): readonly FieldError[] {
  if (kind.scale === undefined) return [];
  const { specReplicasPath, statusReplicasPath } = kind.scale;
  return [specReplicasPath, statusReplicasPath].flatMap((path): readonly FieldError[] => {
    const error = (shown: Json, detail: string) => [{ type: 'Invalid', path, value: shown, detail } as const];
    const [first = ''] = fields(path);
    const parent = of[first];
    if (parent !== undefined && !isJsonObject(parent)) {
      const detail = `${path} accessor error: ${goPlain(parent)} is of the type ${goType(parent)}, expected map[string]interface{}`;
      return error(0, detail);
    }
    const value = at(of, ...fields(path));
    if (value === undefined) return [];
    if (!Number.isInteger(value)) {
      return error(
        0,
        `${path} accessor error: ${goPlain(value)} is of the type ${goType(value)}, expected int64`,
      );
    }
    if (Number(value) < 0) return error(value, 'should be a non-negative integer');
    return Number(value) > 0x7fffffff ? error(value, 'should be less than or equal to 2147483647') : [];
  });
}

/** The Scale in the body of an update. @throws {StatusError} 400 */
export function parseScale(body: string): JsonObject {
  try {
    return object(JSON.parse(body) as Json);
  } catch (cause) {
    throw badRequest(`the Scale cannot be read: ${cause instanceof Error ? cause.message : ''}`);
  }
}

/** The merge patch of the object that a changed Scale stands for. @throws {StatusError} 400, 422 */
export function patchOfScale(kind: Kind, paths: ScalePaths, name: string, scale: JsonObject): JsonObject {
  const replicas: Json = at(scale, 'spec', 'replicas') ?? 0;
  if (typeof replicas !== 'number') throw badRequest('spec.replicas must be a number');
  const errors: FieldError[] =
    replicas < 0 && !kind.custom
      ? [
          {
            type: 'Invalid',
            path: 'spec.replicas',
            value: replicas,
            detail: 'must be greater than or equal to 0',
          },
        ]
      : [];
  if (errors.length > 0) throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, errors);
  const nested = fields(paths.specReplicasPath).reduceRight<Json>(
    (inner, name) => ({ [name]: inner }),
    replicas,
  );
  const version = text(scale, 'metadata', 'resourceVersion');
  return { ...object(nested), ...(version !== '' && { metadata: { resourceVersion: version } }) };
}
