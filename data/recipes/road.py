"""Render the empty road of the bundled profile: data/photos/road.png.

    python data/recipes/road.py

The same seed gives the same picture. The scene is computed at twice its size, from the far to the
near: sky, hills, wood, meadow, road; then haze, lens and sensor.
"""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

WIDTH, HEIGHT, SCALE = 320, 256, 2
HORIZON = 0.46  # of the height
CAMERA = 1.4  # height of the camera above the road, metres
FOCAL = 1.05  # focal length, in widths of the picture
HALF_ROAD = 3.6  # metres
SEED = 7


def mix(below, above, share):
    """Mix two colours or pictures (h, w, 3), with the share (h, w) of the second."""
    below = np.asarray(below, float)
    return below + (np.asarray(above, float) - below) * share[..., None]


def noise(rng, shape, octaves, coarsest):
    """Fractal noise of mean 0 and deviation 1."""
    total = np.zeros(shape)
    for i in range(octaves):
        cells = np.maximum(2, np.ceil(np.array(shape) / coarsest * 2**i)).astype(int) + 1
        grid = rng.standard_normal(cells)
        smooth = zoom(grid, np.array(shape) / (cells - 1) + 0.2, order=3, mode="nearest")
        total += 0.5**i * smooth[: shape[0], : shape[1]]
    return (total - total.mean()) / total.std()


def sampled(field, *place):
    """A texture at places in its pixels, mirrored beyond its borders."""
    return map_coordinates(field, place, order=1, mode="mirror")


def sky(rng, h, w, horizon):
    """Blue above, pale at the horizon, and clouds on a plane that recedes."""
    x = np.linspace(-0.5, 0.5, w)[None]
    y = np.linspace(0, 1, h)[:, None] / horizon * np.ones((1, w))
    height = np.clip(1.1 - y, 0.1, None)
    colour = mix((92, 139, 197), (208, 221, 231), np.clip(y, 0, 1) ** 1.2)
    field = noise(rng, (512, 512), 7, 170)
    u, v = 340 * x / height + 256, 90 / height
    clouds = sampled(field, v, u)
    lit = sampled(field, v - 12, u)
    white = mix((250, 250, 250), (196, 204, 216), np.clip(0.4 + 0.5 * (clouds - lit), 0, 1))
    return mix(colour, white, 0.85 * np.clip(0.8 * clouds - 0.15, 0, 1) ** 0.7)


def below(edge, h, softness):
    """1 below an edge, 0 above it."""
    return np.clip((np.arange(h)[:, None] - edge[None]) / softness + 0.5, 0, 1)


def ground(rng, h, w, horizon):
    """Meadow, verge, asphalt and lane markings, by the place on the ground that a pixel shows."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    depth = CAMERA * FOCAL * w / np.maximum(y - horizon * h, 0.7)  # metres
    side = (x - 0.5 * w) * depth / (FOCAL * w)
    # in the right lane, a slight bend ahead
    across = side + 1.7 - 0.00012 * np.minimum(depth, 300) ** 2
    near = np.clip(14 / depth, 0, 1)  # fine texture fades with the distance

    def texture(size, octaves=4):
        field = noise(rng, (512, 512), octaves, 64)
        return sampled(field, depth * 512 / size, (across + 40) * 512 / size)

    patches = texture(60)
    blades = texture(6, 5)
    meadow = mix((98, 124, 56), (134, 142, 78), np.clip(0.5 + 0.35 * patches, 0, 1))
    meadow *= 1 + (0.13 * blades * near**0.6)[..., None]
    wear = texture(25)
    grain = texture(1.2, 6)
    stains = texture(9)
    roughness = 1 + 0.035 * wear + 0.04 * grain * near**0.5 + 0.02 * stains
    asphalt = np.array((122, 122, 124)) * roughness[..., None]
    for track in (-2.6, -1.1, 1.1, 2.6):  # wheels polish the asphalt
        asphalt *= (1 - 0.06 * np.exp(-(((across - track) / 0.3) ** 2)))[..., None]
    pixel = depth / (FOCAL * w)  # metres to a pixel, for smooth edges

    def stripe(middle, half):
        return np.clip((half - np.abs(across - middle)) / (1.2 * pixel) + 0.5, 0, 1)

    edge = HALF_ROAD + 0.12 * texture(5)
    on_road = np.clip((edge - np.abs(across)) / (1.5 * pixel + 0.05) + 0.5, 0, 1)
    verge = np.clip((edge + 0.9 + 0.3 * texture(7) - np.abs(across)) / 0.5, 0, 1)
    gravel = np.array((146, 137, 117)) * (1 + 0.1 * grain * near**0.5 + 0.05 * blades)[..., None]
    picture = mix(mix(meadow, gravel, 0.75 * verge), asphalt, on_road)
    worn = np.clip(0.82 + 0.16 * texture(3, 5), 0, 1)
    painted = np.clip((np.abs((depth + 2.0) % 9.0 - 4.5) - 2.2) / 0.15 + 0.5, 0, 1)
    borders = np.maximum(stripe(-HALF_ROAD + 0.3, 0.06), stripe(HALF_ROAD - 0.3, 0.06))
    lines = np.maximum(stripe(0.0, 0.07) * painted, borders)
    return mix(picture, (222, 221, 214), lines * worn), depth


def render(seed):
    rng = np.random.default_rng(seed)
    h, w = SCALE * HEIGHT, SCALE * WIDTH
    y0 = HORIZON * h
    picture = sky(rng, h, w, HORIZON)
    haze = np.array((203.0, 214.0, 222.0))
    for height, colour, share in ((26, (92, 112, 122), 0.62), (15, (84, 103, 92), 0.42)):
        hills = np.array(colour) * (1 + 0.04 * noise(rng, (h, w), 5, 90))[..., None]
        edge = y0 - height * (1 + 0.45 * noise(rng, (4, w), 5, w / 2)[0])
        picture = mix(picture, hills + (haze - hills) * share, below(edge, h, 1.5))

    earth, depth = ground(rng, h, w, HORIZON)
    earth = mix(earth, haze, 1 - np.exp(-depth / 420))
    picture = mix(picture, earth, below(np.full(w, y0), h, 1.5))

    # a wood on both sides: crowns as noise, darker at the foot, lower towards the vanishing point
    away = np.abs(np.linspace(-1, 1, w) - 0.02)
    rows = np.arange(h)[:, None]
    for low, high, opening, dark, share in ((5, 16, 0.03, 1.0, 0.34), (7, 46, 0.20, 0.95, 0.1)):
        open_ = np.clip((away - opening) / 0.75, 0, 1)
        size = (low + high * open_**0.9) * (away > opening)
        edge = y0 + 2 + 4 * open_ - size * (1 + 0.30 * noise(rng, (4, w), 6, 60)[0])
        foot = y0 + 3 + 9 * open_ + 1.5 * noise(rng, (4, w), 5, 30)[0]
        leaves = noise(rng, (h, w), 6, 26)
        shade = np.clip((rows - edge) / np.maximum(foot - edge, 1), 0, 1)
        depth_of_green = np.clip(0.3 + 0.55 * shade - 0.25 * leaves, 0, 1)
        green = dark * mix((104, 126, 60), (30, 44, 26), depth_of_green)
        green = green + (haze - green) * share
        inside = below(edge + 2.5 * leaves[0] + 1.4 * noise(rng, (h, w), 5, 14), h, 1.2)
        inside *= np.clip((foot - rows) / 2.0 + 0.5, 0, 1) * (away > opening)[None]
        picture = mix(picture, green, inside)

    # the sensor: lens blur, vignette, noise that grows with the light
    picture = np.stack([gaussian_filter(c, 0.9) for c in np.moveaxis(picture, 2, 0)], 2)
    picture = picture.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean((1, 3))
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    picture *= (1 - 0.10 * (x**2 + y**2))[..., None]
    grain = rng.standard_normal(picture.shape) + rng.standard_normal(picture.shape[:2])[..., None]
    return 1.06 * picture + grain * (0.5 + 0.005 * picture)


if __name__ == "__main__":
    pixels = render(SEED).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save("data/photos/road.png", optimize=True)
