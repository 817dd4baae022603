/* Written by train.py: input[i] = (measured[i] - WINE_MEAN[i]) * WINE_INVERSE_DEVIATION[i]. */
#ifndef WINE_SCALER_H
#define WINE_SCALER_H

static const float WINE_MEAN[13] = {
    1.29571698e+01f, /* alcohol */
    2.39905660e+00f, /* malic_acid */
    2.36462264e+00f, /* ash */
    1.96547170e+01f, /* alcalinity_of_ash */
    9.92358491e+01f, /* magnesium */
    2.28330189e+00f, /* total_phenols */
    2.02311321e+00f, /* flavanoids */
    3.72264151e-01f, /* nonflavanoid_phenols */
    1.58292453e+00f, /* proanthocyanins */
    5.15754717e+00f, /* color_intensity */
    9.46849057e-01f, /* hue */
    2.57103774e+00f, /* od280/od315_of_diluted_wines */
    7.38518868e+02f, /* proline */
};

static const float WINE_INVERSE_DEVIATION[13] = {
    1.28563315e+00f, /* alcohol */
    9.03744899e-01f, /* malic_acid */
    3.67817565e+00f, /* ash */
    3.06170516e-01f, /* alcalinity_of_ash */
    7.91056891e-02f, /* magnesium */
    1.61764355e+00f, /* total_phenols */
    9.98070351e-01f, /* flavanoids */
    7.79199469e+00f, /* nonflavanoid_phenols */
    1.85012302e+00f, /* proanthocyanins */
    4.18423531e-01f, /* color_intensity */
    4.35545112e+00f, /* hue */
    1.41192721e+00f, /* od280/od315_of_diluted_wines */
    3.33409312e-03f, /* proline */
};

#endif
