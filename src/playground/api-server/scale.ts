import type { FieldError, Json, JsonObject, Kind, ScalePaths } from './kind.ts';
import { at, count, object, text } from './kinds/read.ts';
import { invalid } from './status-error.ts';
import { withFields } from './fields/json.ts';

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
    metadata: withFields({}, { name, namespace, uid, resourceVersion, creationTimestamp }),
    spec: replicas === 0 ? {} : { replicas },
    status: {
      replicas: count(of, ...fields(paths.statusReplicasPath)),
      ...(selectorText !== '' && { selector: selectorText }),
    },
  };
}

const fields = (path: string): readonly string[] => path.split('.').filter((name) => name !== '');

const labelsText = (labels: JsonObject): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${text(value)}`)
    .sort()
    .join(',');

/** What is wrong with the numbers that a Scale would show, beyond what the schema of a custom kind says. */
export function scaleErrors({ scale }: Kind, of: JsonObject): readonly FieldError[] {
  const paths = scale === undefined ? [] : [scale.specReplicasPath, scale.statusReplicasPath];
  return paths.flatMap((path): readonly FieldError[] => {
    const value = at(of, ...fields(path)) ?? 0;
    if (Number.isInteger(value) && Number(value) >= 0) return [];
    return [{ type: 'Invalid', path, value, detail: 'should be a non-negative integer' }];
  });
}

/** The merge patch of the object that a changed Scale stands for. @throws {StatusError} 422 */
export function patchOfScale(kind: Kind, paths: ScalePaths, name: string, scale: JsonObject): JsonObject {
  const replicas = count(scale, 'spec', 'replicas');
  if (replicas < 0 && !kind.custom) {
    const detail = 'must be greater than or equal to 0';
    const error = { type: 'Invalid', path: 'spec.replicas', value: replicas, detail } as const;
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [error]);
  }
  const nested = fields(paths.specReplicasPath).reduceRight<Json>(
    (inner, name) => ({ [name]: inner }),
    replicas,
  );
  const version = text(scale, 'metadata', 'resourceVersion');
  return { ...object(nested), ...(version !== '' && { metadata: { resourceVersion: version } }) };
}
