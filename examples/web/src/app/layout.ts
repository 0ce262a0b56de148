/** Where the picture puts people: forces until they are in balance, from where they were before. */
import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from "d3-force";

export const WIDTH = 640;
export const HEIGHT = 420;
const MARGIN = 44;
const STEPS = 240;
/** By so much the picture is stretched at most to fill its frame. */
const WIDEST = 1.5;

export interface Place {
  x: number;
  y: number;
}

type Node = SimulationNodeDatum & { id: string };
type Link = SimulationLinkDatum<Node>;

/** Each id's place. The first one is in the middle; who had a place before starts from there. */
export function layout(
  ids: readonly string[],
  links: readonly (readonly [string, string])[],
  before: ReadonlyMap<string, Place>,
): Map<string, Place> {
  const middle = { x: WIDTH / 2, y: HEIGHT / 2 };
  const nodes = ids.map((id, number): Node => {
    if (!number) return { id, fx: middle.x, fy: middle.y };
    const angle = number * 2.4; // the golden angle: no two start at the same place
    return { id, x: middle.x + 120 * Math.cos(angle), y: middle.y + 90 * Math.sin(angle), ...before.get(id) };
  });
  const joined = forceLink<Node, Link>(links.map(([source, target]) => ({ source, target })));
  forceSimulation(nodes)
    .force(
      "links",
      joined
        .id(({ id }) => id)
        .distance(100)
        .strength(0.25),
    )
    .force("apart", forceManyBody().strength(-600))
    .force("room", forceCollide(44))
    .force("across", forceX(middle.x).strength(0.05))
    .force("up", forceY(middle.y).strength(0.1))
    .stop()
    .tick(STEPS);
  const far = (at: (place: Place) => number) => Math.max(1, ...nodes.map(({ x = 0, y = 0 }) => Math.abs(at({ x, y }))));
  const across = Math.min(WIDEST, (middle.x - MARGIN) / far(({ x }) => x - middle.x));
  const up = Math.min(WIDEST, (middle.y - MARGIN) / far(({ y }) => y - middle.y));
  return new Map(
    nodes.map(({ id, x = 0, y = 0 }) => [
      id,
      { x: middle.x + (x - middle.x) * across, y: middle.y + (y - middle.y) * up },
    ]),
  );
}
